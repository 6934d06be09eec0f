package term

import (
	"bytes"
	"os"

	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// Frame is what a model says about a frame beside its cells.
type Frame struct {
	Cursor           bool // the terminal's cursor is shown, at CursorX, CursorY
	CursorX, CursorY int
	Title            string // of the window; without control characters
	Mouse            bool   // clicks and the wheel are wanted
}

// Painter turns frames into the bytes that bring the terminal from one to the next. It writes nowhere: what it has to say is
// collected in buf. The modes it sets are those of Bubble Tea's own renderer.
type Painter struct {
	env     []string
	profile colorprofile.Profile
	tabs    bool // the terminal's tab stops can be used

	buf   bytes.Buffer
	scr   *uv.TerminalRenderer
	cells *uv.RenderBuffer
	w, h  int
	last  Frame
	sync  bool // the terminal has synchronized output
}

// NewPainter makes a painter for a terminal that can show the colours of profile, and whose tab stops can be used if tabs.
func NewPainter(profile colorprofile.Profile, tabs bool) *Painter {
	return &Painter{env: os.Environ(), profile: profile, tabs: tabs, cells: uv.NewRenderBuffer(0, 0)}
}

// requestSync asks whether the terminal has synchronized output (DECRQM 2026). Where the question itself is printed, as by Terminal.app
// up to macOS 14, the frame that follows wipes it out: it is asked before the first one.
const requestSync = ansi.RequestModeSynchronizedOutput

// Enter takes the terminal: the alternate screen, keys that can be told apart, pastes in brackets. ask adds the question about
// synchronized output. The bytes that do it are valid until the next call.
func (p *Painter) Enter(w, h int, ask bool) []byte {
	p.buf.Reset()
	scr := uv.NewTerminalRenderer(&p.buf, p.env)
	scr.SetColorProfile(p.profile)
	if p.tabs {
		scr.SetTabStops(w)
		_, _ = scr.WriteString(ansi.SetTabEvery8Columns)
	} else {
		scr.SetTabStops(-1)
	}
	scr.SetBackspace(true)
	scr.EnterAltScreen()
	_, _ = scr.WriteString(ansi.ResetModeTextCursorEnable + ansi.SetModeBracketedPaste + ansi.SetModifyOtherKeys2 + ansi.PushKittyKeyboard(1))
	if ask {
		_, _ = scr.WriteString(requestSync)
	}
	_ = scr.Flush() // into buf: it cannot fail
	p.scr, p.last = scr, Frame{}
	p.resize(w, h)
	return p.buf.Bytes()
}

// leave gives the terminal back, and returns what does it.
func (p *Painter) leave() string {
	if p.scr == nil {
		return ""
	}
	s := ""
	if p.sync {
		s = ansi.ResetModeSynchronizedOutput
	}
	s += ansi.ResetModifyOtherKeys + ansi.PopKittyKeyboard(1) + ansi.ResetModeBracketedPaste
	if p.last.Mouse {
		s += ansi.ResetModeMouseButtonEvent + ansi.ResetModeMouseAnyEvent + ansi.ResetModeMouseExtSgr
	}
	if p.last.Title != "" {
		s += ansi.SetWindowTitle("")
	}
	return s + ansi.ResetStyle + ansi.ResetModeAltScreenSaveCursor + ansi.SetModeTextCursorEnable
}

// resize makes the next frame a whole one of this size.
func (p *Painter) resize(w, h int) {
	p.w, p.h = max(w, 0), max(h, 0)
	p.scr.Resize(p.w, p.h)
	p.scr.Erase()
}

// erase makes the next frame a whole one.
func (p *Painter) erase() { p.scr.Erase() }

// Frame renders what paint puts into the cells, and returns the bytes, which are valid until the next call; none when the terminal
// shows it already. whole frames are those after Enter, resize and erase.
func (p *Painter) Frame(paint func(*uv.RenderBuffer) (f Frame, scrolled bool)) []byte {
	p.buf.Reset()
	f, scrolled := paint(p.cells)
	p.scr.SetScrollOptim(scrolled)
	p.scr.Render(p.cells)
	clear(p.cells.Touched) // what is not touched again is not looked at again
	if f.Cursor {
		p.scr.MoveTo(min(max(f.CursorX, 0), max(p.w-1, 0)), min(max(f.CursorY, 0), max(p.h-1, 0)))
	}
	if f.Title != p.last.Title {
		_, _ = p.scr.WriteString(ansi.SetWindowTitle(f.Title))
	}
	if f.Mouse != p.last.Mouse {
		if f.Mouse {
			_, _ = p.scr.WriteString(ansi.SetModeMouseButtonEvent + ansi.SetModeMouseExtSgr)
		} else {
			_, _ = p.scr.WriteString(ansi.ResetModeMouseButtonEvent + ansi.ResetModeMouseAnyEvent + ansi.ResetModeMouseExtSgr)
		}
	}
	_ = p.scr.Flush()
	show, hide := f.Cursor && !p.last.Cursor, !f.Cursor && p.last.Cursor
	body := p.buf.Bytes()
	if len(body) == 0 && !show && !hide {
		p.last = f
		return nil
	}
	out := make([]byte, 0, len(body)+32)
	switch {
	case p.sync:
		out = append(out, ansi.SetModeSynchronizedOutput...)
	case hide || f.Cursor && !show: // the cursor is not seen flying over the screen
		out = append(out, ansi.ResetModeTextCursorEnable...)
	}
	if p.sync && hide {
		out = append(out, ansi.ResetModeTextCursorEnable...)
	}
	out = append(out, body...)
	if show || f.Cursor && !p.sync {
		out = append(out, ansi.SetModeTextCursorEnable...)
	}
	if p.sync {
		out = append(out, ansi.ResetModeSynchronizedOutput...)
	}
	p.last = f
	return out
}

// ask is the request for a cursor position report. A report from the first row looks like a key (F3 with modifiers), so the cursor is moved
// away from there.
func (p *Painter) ask() string {
	p.buf.Reset()
	if _, y := p.scr.Position(); y <= 0 && !p.last.Cursor {
		p.scr.MoveTo(0, max(p.h-1, 0))
		_ = p.scr.Flush()
	}
	return p.buf.String() + ansi.RequestCursorPositionReport
}
