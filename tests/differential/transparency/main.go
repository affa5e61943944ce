// Answers with golang.org/x/mod/sumdb, which the Go toolchain carries: what it makes of notes, and the roots and proofs
// that it computes over leaves. Reads one JSON document and writes one.
package main

import (
	"encoding/json"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Sign []struct {
		Keys []string `json:"keys"`
		Text string   `json:"text"`
	} `json:"sign"`
	Open []struct {
		Vkeys []string `json:"vkeys"`
		Note  string   `json:"note"`
	} `json:"open"`
	Leaves      [][]byte   `json:"leaves"`
	Roots       []int64    `json:"roots"`
	Inclusion   [][2]int64 `json:"inclusion"`
	Consistency [][2]int64 `json:"consistency"`
	Check       []struct {
		Path [][]byte `json:"path"`
		Old  int64    `json:"old"`
		New  int64    `json:"new"`
		Kind string   `json:"kind"`
	} `json:"check"`
}

type answer struct {
	Signed      []string   `json:"signed"`
	Opened      []string   `json:"opened"`
	Roots       [][]byte   `json:"roots"`
	Inclusion   [][][]byte `json:"inclusion"`
	Consistency [][][]byte `json:"consistency"`
	Checked     []bool     `json:"checked"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

type store []tlog.Hash

func (s store) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for at, index := range indexes {
		found[at] = s[index]
	}
	return found, nil
}

func bytesOf(hashes []tlog.Hash) [][]byte {
	plain := make([][]byte, len(hashes))
	for at, hash := range hashes {
		plain[at] = append([]byte(nil), hash[:]...)
	}
	return plain
}

func hashesOf(plain [][]byte) []tlog.Hash {
	hashes := make([]tlog.Hash, len(plain))
	for at, each := range plain {
		copy(hashes[at][:], each)
	}
	return hashes
}

// open gives the note's text, or "" if it is refused.
func open(vkeys []string, text string) string {
	known := make([]note.Verifier, len(vkeys))
	for at, vkey := range vkeys {
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			return ""
		}
		known[at] = verifier
	}
	opened, err := note.Open([]byte(text), note.VerifierList(known...))
	if err != nil {
		return ""
	}
	return opened.Text
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	var told answer
	for _, each := range asked.Sign {
		var signers []note.Signer
		for _, key := range each.Keys {
			signers = append(signers, must(note.NewSigner(key)))
		}
		told.Signed = append(told.Signed, string(must(note.Sign(&note.Note{Text: each.Text}, signers...))))
	}
	for _, each := range asked.Open {
		told.Opened = append(told.Opened, open(each.Vkeys, each.Note))
	}
	var kept store
	for at, leaf := range asked.Leaves {
		kept = append(kept, must(tlog.StoredHashes(int64(at), leaf, kept))...)
	}
	root := func(size int64) tlog.Hash { return must(tlog.TreeHash(size, kept)) }
	for _, size := range asked.Roots {
		told.Roots = append(told.Roots, bytesOf([]tlog.Hash{root(size)})[0])
	}
	for _, each := range asked.Inclusion {
		told.Inclusion = append(told.Inclusion, bytesOf(must(tlog.ProveRecord(each[1], each[0], kept))))
	}
	for _, each := range asked.Consistency {
		told.Consistency = append(told.Consistency, bytesOf(must(tlog.ProveTree(each[1], each[0], kept))))
	}
	for _, each := range asked.Check {
		path := hashesOf(each.Path)
		var err error
		if each.Kind == "inclusion" {
			leaf := tlog.RecordHash(asked.Leaves[each.Old])
			err = tlog.CheckRecord(path, each.New, root(each.New), each.Old, leaf)
		} else {
			err = tlog.CheckTree(path, each.New, root(each.New), each.Old, root(each.Old))
		}
		told.Checked = append(told.Checked, err == nil)
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		panic(err)
	}
}
