package figures

import (
	"fmt"
	"io"
	"strings"
)

// A Note is a line about a peer: its version, what it lets through, and how else it is set up.
type Note struct {
	Name, Module, Version string
	Unchecked             []string
	Remark                string
}

const notesHead = `
All check the signature, the issuer, the audience, the expiry and one scope. What the peers let through that oauthz refuses, as
they are set up here:

`

// WriteMarkdown writes grids, on what machine they were made, and notes.
func WriteMarkdown(w io.Writer, machine string, grids []Grid, notes []Note) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of one run, all cases taking turns: %s. In brackets the ratio to the first row. Made by `go run ./bench`.\n", plain(machine))
	for _, g := range grids {
		fmt.Fprintf(&b, "\n%s:\n\n", plain(g.Title))
		markdownRow(&b, g.Header)
		fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("---:|", len(g.Header)-1))
		for _, row := range g.Rows {
			markdownRow(&b, row)
		}
	}
	if len(notes) > 0 {
		b.WriteString(notesHead)
		markdownRow(&b, []string{"", "package", "lets through", ""})
		b.WriteString("|---|---|---|---|\n")
		for _, n := range notes {
			markdownRow(&b, []string{n.Name, strings.TrimSpace(n.Module + " " + n.Version), strings.Join(n.Unchecked, ", "), n.Remark})
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("figures: markdown: %w", err)
	}
	return nil
}

func markdownRow(b *strings.Builder, cells []string) {
	b.WriteByte('|')
	for _, c := range cells {
		b.WriteString(" " + plain(c) + " |")
	}
	b.WriteByte('\n')
}

// plain keeps what a machine or a module is called from being taken for Markdown.
var plainer = strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`, "`", "'")

func plain(s string) string { return plainer.Replace(s) }
