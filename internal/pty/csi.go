package pty

import (
	"fmt"

	"github.com/charmbracelet/x/ansi"
)

func (s *Screen) esc(cmd ansi.Cmd) {
	switch {
	case cmd.Intermediate() != 0: // character sets
	case cmd.Final() == '7':
		s.savedX, s.savedY = s.x, s.y
	case cmd.Final() == '8':
		s.moveTo(s.savedX, s.savedY)
	case cmd.Final() == 'M': // reverse index
		if s.y == s.top {
			s.scroll(s.top, -1)
		} else {
			s.moveTo(s.x, s.y-1)
		}
	case cmd.Final() == 'D':
		s.lineFeed()
	case cmd.Final() == 'E':
		s.x = 0
		s.lineFeed()
	case cmd.Final() == '=' || cmd.Final() == '>' || cmd.Final() == '\\':
	default:
		s.unknown("ESC %c", cmd.Final())
	}
}

func (s *Screen) moveTo(x, y int) {
	s.x, s.y, s.wrap = min(max(x, 0), s.w-1), min(max(y, 0), s.h-1), false
}

// csi takes a control sequence. Numbers are those of ECMA-48 and xterm's ctlseqs.
func (s *Screen) csi(cmd ansi.Cmd, params ansi.Params) {
	arg := func(i, def int) int {
		n, _, _ := params.Param(i, def)
		return n
	}
	n := max(1, arg(0, 1))
	if cmd.Prefix() != 0 || cmd.Intermediate() != 0 {
		s.private(cmd, params)
		return
	}
	row := s.cells[s.y]
	switch cmd.Final() {
	case 'A':
		s.moveTo(s.x, s.y-n)
	case 'B', 'e':
		s.moveTo(s.x, s.y+n)
	case 'C', 'a':
		s.moveTo(s.x+n, s.y)
	case 'D':
		s.moveTo(s.x-n, s.y)
	case 'E':
		s.moveTo(0, s.y+n)
	case 'F':
		s.moveTo(0, s.y-n)
	case 'G', '`':
		s.moveTo(n-1, s.y)
	case 'd':
		s.moveTo(s.x, n-1)
	case 'H', 'f':
		s.moveTo(max(1, arg(1, 1))-1, n-1)
	case 'I':
		s.moveTo((s.x/8+n)*8, s.y)
	case 'Z':
		s.moveTo(((s.x+7)/8-n)*8, s.y)
	case 'J':
		s.eraseDisplay(arg(0, 0))
	case 'K':
		s.wrap = false
		switch arg(0, 0) {
		case 0:
			s.erase(row[s.x:])
		case 1:
			s.erase(row[:s.x+1])
		case 2:
			s.erase(row)
		}
	case 'X':
		s.erase(row[s.x:min(s.w, s.x+n)])
	case '@':
		s.insertCells(n)
	case 'P':
		n = min(n, s.w-s.x)
		copy(row[s.x:], row[s.x+n:])
		s.erase(row[s.w-n:])
	case 'L', 'M':
		if s.y < s.top || s.y > s.bottom {
			return
		}
		if cmd.Final() == 'L' {
			n = -n
		}
		s.scroll(s.y, n)
		s.x = 0
	case 'S':
		s.scroll(s.top, n)
	case 'T':
		s.scroll(s.top, -n)
	case 'b':
		for range n {
			s.print(s.last)
		}
	case 'r':
		s.top, s.bottom = n-1, arg(1, s.h)-1
		if s.bottom <= 0 || s.bottom >= s.h {
			s.bottom = s.h - 1
		}
		s.moveTo(0, 0)
	case 's':
		s.savedX, s.savedY = s.x, s.y
	case 'u':
		s.moveTo(s.savedX, s.savedY)
	case 'm':
		s.sgr(params)
	case 'h', 'l':
		if arg(0, 0) == 4 {
			s.insert = cmd.Final() == 'h'
		}
	case 'n':
		s.report(arg(0, 0))
	case 'c':
		s.answer("\x1b[?62;22c") // a VT220 with colours
	case 'g', 't', 'q':
	default:
		s.unknown("CSI %c", cmd.Final())
	}
}

func (s *Screen) eraseDisplay(how int) {
	switch how {
	case 0:
		s.erase(s.cells[s.y][s.x:])
		for y := s.y + 1; y < s.h; y++ {
			s.erase(s.cells[y])
		}
	case 1:
		s.erase(s.cells[s.y][:s.x+1])
		for y := range s.y {
			s.erase(s.cells[y])
		}
	case 2, 3:
		s.Clears++
		for y := range s.h {
			s.erase(s.cells[y])
		}
	}
}

func (s *Screen) answer(text string) {
	if s.reply != nil {
		s.reply([]byte(text))
	}
}

func (s *Screen) report(what int) {
	switch what {
	case 5:
		s.answer("\x1b[0n")
	case 6:
		s.answer(fmt.Sprintf("\x1b[%d;%dR", s.y+1, s.x+1))
	}
}

// private takes sequences with a prefix ("?", ">") or an intermediate byte.
func (s *Screen) private(cmd ansi.Cmd, params ansi.Params) {
	if cmd.Prefix() != '?' {
		return // keyboard protocols, names and versions: not ours
	}
	if cmd.Intermediate() == '$' && cmd.Final() == 'p' { // DECRQM: 2 is "reset", 0 is "not known"
		mode, _, _ := params.Param(0, 0)
		state := 0
		if mode == 2026 && s.sync {
			state = 2
		}
		s.answer(fmt.Sprintf("\x1b[?%d;%d$y", mode, state))
		return
	}
	on := cmd.Final() == 'h'
	if !on && cmd.Final() != 'l' {
		return
	}
	params.ForEach(0, func(_, mode int, _ bool) {
		switch mode {
		case 7:
			s.noWrap = !on
		case 25:
			s.CursorHidden = !on
		case 47, 1047, 1049:
			s.alternate(on)
		case 2026:
			if s.Synchronized && !on {
				s.Frames++
			}
			s.Synchronized = on
		}
	})
}

func (s *Screen) alternate(on bool) {
	switch {
	case on == s.Alternate:
	case on:
		s.savedX, s.savedY = s.x, s.y
		s.main, s.cells = s.cells, s.blanks()
	default:
		s.cells = s.main
		if len(s.cells) != s.h {
			s.cells = s.blanks()
		}
		s.moveTo(s.savedX, s.savedY)
	}
	s.Alternate = on
}

func (s *Screen) sgr(params ansi.Params) {
	if len(params) == 0 {
		s.attr = 0
		return
	}
	for i := 0; i < len(params); i++ {
		switch n := params[i].Param(0); n {
		case 0:
			s.attr = 0
		case 1:
			s.attr |= Bold
		case 2:
			s.attr |= Faint
		case 4:
			s.attr |= Under
		case 7:
			s.attr |= Reverse
		case 22:
			s.attr &^= Bold | Faint
		case 24:
			s.attr &^= Under
		case 27:
			s.attr &^= Reverse
		case 38, 48, 58: // a colour: 5;N or 2;R;G;B
			if i+1 < len(params) {
				if params[i+1].Param(0) == 5 {
					i += 2
				} else {
					i += 4
				}
			}
		}
	}
}
