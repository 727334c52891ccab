// Command judge accepts or refuses checkpoints and proofs with the Go project's own packages for
// signed notes and transparency logs. It shares no line with the gate.
//
// It reads cases from standard input, one JSON object a line, and writes a line for each:
// `accepted`, or `refused <step>: <reason>`, the step being one of key, signature, checkpoint,
// inclusion, older and consistency. Byte strings are in standard base64:
//
//	{"key": "name+hex+base64", "note": NOTE,
//	 "inclusion": {"leaf": BYTES or "leaf_hash": HASH, "index": 3, "path": [HASH, …]},
//	 "consistency": {"older": NOTE, "proof": [HASH, …]}}
//
// `inclusion` and `consistency` may be left out. Hashes are in the order of RFC 6962.
//
// Exit codes: 0 every case accepted, 1 at least one refused, 2 no case, or what is no case.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// testCase is one checkpoint, and what is claimed under it.
type testCase struct {
	Key         string       `json:"key"`
	Note        []byte       `json:"note"`
	Inclusion   *inclusion   `json:"inclusion"`
	Consistency *consistency `json:"consistency"`
}

// inclusion claims that the log holds a leaf at an index; the leaf hash counts only without a leaf.
type inclusion struct {
	Leaf     []byte           `json:"leaf"`
	LeafHash *tlog.Hash       `json:"leaf_hash"`
	Index    int64            `json:"index"`
	Path     tlog.RecordProof `json:"path"`
}

// consistency claims that an older checkpoint is of the beginning of the same log.
type consistency struct {
	Older []byte         `json:"older"`
	Proof tlog.TreeProof `json:"proof"`
}

func main() {
	accepted, judged, err := judgeAll(os.Stdin, os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case accepted != judged:
		os.Exit(1)
	}
}

func judgeAll(in io.Reader, out io.Writer) (accepted, judged int, err error) {
	verdicts := bufio.NewWriter(out)
	defer verdicts.Flush()
	cases := json.NewDecoder(in)
	cases.DisallowUnknownFields()
	for {
		var c testCase
		err := cases.Decode(&c)
		if err == io.EOF && judged > 0 {
			return accepted, judged, nil
		}
		if err != nil {
			return accepted, judged, fmt.Errorf("case %d: expected a JSON object: %w", judged+1, err)
		}
		judged++
		if err := judge(c); err != nil {
			fmt.Fprintln(verdicts, "refused", err)
			continue
		}
		accepted++
		fmt.Fprintln(verdicts, "accepted")
	}
}

// judge returns nil for a case that holds, otherwise the step that failed and why.
func judge(c testCase) error {
	key, err := note.NewVerifier(c.Key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	head, err := open(c.Note, key)
	if err != nil {
		return err
	}
	if c.Inclusion != nil {
		if err := c.Inclusion.check(head); err != nil {
			return fmt.Errorf("inclusion: %w", err)
		}
	}
	if c.Consistency == nil {
		return nil
	}
	older, err := open(c.Consistency.Older, key)
	if err != nil {
		return fmt.Errorf("older: %w", err)
	}
	if err := tlog.CheckTree(c.Consistency.Proof, head.N, head.Hash, older.N, older.Hash); err != nil {
		return fmt.Errorf("consistency: %w", err)
	}
	return nil
}

// open returns the tree head of a note that the key signed.
func open(signed []byte, key note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("signature: %w", err)
	}
	head, err := parseCheckpoint(opened.Text, key.Name())
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("checkpoint: %w", err)
	}
	return head, nil
}

// parseCheckpoint reads a checkpoint's body by C2SP tlog-checkpoint: origin, size, root, each on a
// line, then extension lines, which are skipped. The packages above know only the one log that they
// were written for, whose origin is `go.sum database tree`.
func parseCheckpoint(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return tlog.Tree{}, errors.New("expected at least three lines")
	}
	if lines[0] != origin {
		return tlog.Tree{}, fmt.Errorf("expected origin %q, got %q", origin, lines[0])
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("expected a size in decimal, got %q", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, fmt.Errorf("expected a root of 32 bytes in base64, got %q", lines[2])
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

func (claim *inclusion) check(head tlog.Tree) error {
	var leaf tlog.Hash
	switch {
	case claim.Leaf != nil:
		leaf = tlog.RecordHash(claim.Leaf)
	case claim.LeafHash != nil:
		leaf = *claim.LeafHash
	default:
		return errors.New("expected a leaf or its hash")
	}
	return tlog.CheckRecord(claim.Path, head.N, head.Hash, claim.Index, leaf)
}
