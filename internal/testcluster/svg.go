package testcluster

import (
	"fmt"
	"html"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Size of a cell of the picture, in pixels.
const (
	cellW = 8.4
	cellH = 18
)

// ansiColours are the sixteen colours of a plain dark terminal.
var ansiColours = [16]string{"#1c1f26", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4",
	"#5c6370", "#ff7b86", "#b5e890", "#ffd68a", "#82c4ff", "#e29cf5", "#74d7e3", "#ffffff"}

const (
	svgBack = "#14161b"
	svgFore = "#c8ccd4"
)

// look is what SGR sequences have set.
type look struct {
	fg, bg                            string
	bold, dim, under, reverse, italic bool
}

// SVG draws a captured screen with its SGR sequences, as tmux's capture-pane -e gives it.
func SVG(screen string, w, h int) string {
	var b strings.Builder
	width, height := float64(w)*cellW+16, h*cellH+16
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14" xml:space="preserve">`,
		width, height, width, height)
	fmt.Fprintf(&b, "\n<rect width=\"100%%\" height=\"100%%\" rx=\"6\" fill=\"%s\"/>\n", svgBack)
	var l look
	for y, line := range strings.Split(screen, "\n") {
		if y >= h {
			break
		}
		x := 0
		for line != "" {
			if i := strings.Index(line, "\x1b["); i == 0 {
				end := strings.IndexByte(line, 'm')
				if end < 0 {
					break
				}
				l.sgr(line[2:end])
				line = line[end+1:]
				continue
			} else if i > 0 {
				x = l.run(&b, x, y, line[:i])
				line = line[i:]
			} else {
				x = l.run(&b, x, y, line)
				line = ""
			}
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// run draws text in one look from column x on.
func (l *look) run(b *strings.Builder, x, y int, s string) int {
	w := ansi.StringWidth(s)
	fg, bg := l.fg, l.bg
	if l.reverse {
		fg, bg = bg, fg
		if fg == "" {
			fg = svgBack
		}
		if bg == "" {
			bg = svgFore
		}
	}
	px, py := 8+float64(x)*cellW, 8+y*cellH
	if bg != "" {
		fmt.Fprintf(b, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", px, py, float64(w)*cellW, cellH, bg)
	}
	if strings.TrimSpace(s) == "" {
		return x + w
	}
	if fg == "" {
		fg = svgFore
	}
	attr := ""
	if l.bold {
		attr += ` font-weight="bold"`
	}
	if l.dim {
		attr += ` opacity="0.6"`
	}
	if l.under {
		attr += ` text-decoration="underline"`
	}
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" textLength=\"%.1f\" fill=\"%s\"%s>%s</text>\n", px, py+cellH-4, float64(w)*cellW, fg, attr, html.EscapeString(s))
	return x + w
}

// sgr applies the parameters of one SGR sequence.
func (l *look) sgr(params string) {
	ps := strings.Split(params, ";")
	for i := 0; i < len(ps); i++ {
		n, _ := strconv.Atoi(ps[i])
		switch {
		case n == 0:
			*l = look{}
		case n == 1:
			l.bold = true
		case n == 2:
			l.dim = true
		case n == 3:
			l.italic = true
		case n == 4:
			l.under = true
		case n == 7:
			l.reverse = true
		case n == 22:
			l.bold, l.dim = false, false
		case n == 24:
			l.under = false
		case n == 27:
			l.reverse = false
		case n >= 30 && n <= 37:
			l.fg = ansiColours[n-30]
		case n >= 90 && n <= 97:
			l.fg = ansiColours[n-90+8]
		case n == 39:
			l.fg = ""
		case n >= 40 && n <= 47:
			l.bg = ansiColours[n-40]
		case n >= 100 && n <= 107:
			l.bg = ansiColours[n-100+8]
		case n == 49:
			l.bg = ""
		case (n == 38 || n == 48) && i+4 < len(ps) && ps[i+1] == "2":
			c := fmt.Sprintf("rgb(%s,%s,%s)", ps[i+2], ps[i+3], ps[i+4])
			if n == 38 {
				l.fg = c
			} else {
				l.bg = c
			}
			i += 4
		case (n == 38 || n == 48) && i+2 < len(ps) && ps[i+1] == "5":
			c, _ := strconv.Atoi(ps[i+2])
			if c < 16 {
				if n == 38 {
					l.fg = ansiColours[c]
				} else {
					l.bg = ansiColours[c]
				}
			}
			i += 2
		}
	}
}
