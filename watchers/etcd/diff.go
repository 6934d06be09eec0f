package etcd

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"regexp"

	"fathom/internal/linediff"
)

// Difference is how two values of a key differ, line by line, as they are shown: masked.
type Difference struct {
	Old, New       Decoded // without their Text
	Lines          []linediff.Line
	Removed, Added int  // lines
	Equal          bool // byte for byte
	Note           string
}

// Diff compares two values of a key as [Decode] shows them; nil stands for no value. What is masked stays masked: where it is not the
// same, the mask of the new value says "changed". Reveal is not honoured.
func Diff(key string, before, after []byte, o DecodeOptions) Difference {
	secret := make([]byte, sha256.Size) // of this comparison only, so that nothing can be learnt from a tag
	_, _ = rand.Read(secret)            // never fails (crypto/rand)
	o.Reveal = ""
	o.tag = func(content string) string {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(content))
		return hex.EncodeToString(h.Sum(nil)[:tagBytes])
	}
	d := Difference{Equal: bytes.Equal(before, after)}
	if len(before) > 0 {
		d.Old = Decode(key, before, o)
	}
	if len(after) > 0 {
		d.New = Decode(key, after, o)
	}
	d.Lines = linediff.Lines(d.Old.Text, d.New.Text)
	d.Removed, d.Added = linediff.Count(d.Lines)
	d.Old.Text, d.New.Text = "", ""
	untag(d.Lines)
	if !d.Equal && d.Removed+d.Added == 0 {
		d.Note = "The bytes differ, but nothing that is shown does."
		switch {
		case d.New.Format == Encrypted:
			d.Note = "Both are encrypted: every write of the same object has other bytes."
		case d.Old.Format != d.New.Format:
			d.Note = "They are stored in different formats and say the same."
		case d.New.Kind != "":
			d.Note = "Only metadata.managedFields differs, or what is not shown."
		}
	}
	return d
}

// tagBytes is the length of a tag: long enough that two different contents do not share one by chance.
const tagBytes = 8

var tagged = regexp.MustCompile(`(<masked, [0-9]+ bytes), ([0-9a-f]{16})>`)

// untag takes the tags out of the masks and marks those of new lines that replace another content.
func untag(lines []linediff.Line) {
	old := map[string]bool{} // tags of removed lines
	places := map[string]bool{}
	for _, l := range lines {
		if l.Kind != linediff.Removed {
			continue
		}
		for _, m := range tagged.FindAllStringSubmatch(l.Text, -1) {
			old[m[2]] = true
		}
		places[place(l.Text)] = true
	}
	for i := range lines {
		l := &lines[i]
		added := l.Kind == linediff.Added && places[place(l.Text)]
		l.Text = tagged.ReplaceAllStringFunc(l.Text, func(s string) string {
			m := tagged.FindStringSubmatch(s)
			if added && !old[m[2]] {
				return m[1] + ", changed>"
			}
			return m[1] + ">"
		})
	}
}

// place is what stands before the first mask of a line: the name of the field.
func place(line string) string {
	if i := tagged.FindStringIndex(line); i != nil {
		return line[:i[0]]
	}
	return ""
}
