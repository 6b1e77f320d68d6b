// Checks a log that votenet wrote with the tools of Go's checksum database (golang.org/x/mod/sumdb), which
// read C2SP's formats: main.go FOLDER OLD. The folder holds tiles, checkpoint, keys, proof.tlog-proof,
// old-root and consistency; the record at index i is "record i". It ends with an error at the first fault.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(parts ...string) string {
	data, err := os.ReadFile(filepath.Join(append([]string{os.Args[1]}, parts...)...))
	must(err)
	return strings.TrimSpace(string(data))
}

func hash(text string) (found tlog.Hash) {
	raw, err := base64.StdEncoding.DecodeString(text)
	must(err)
	copy(found[:], raw)
	return found
}

func hashes(lines []string) (found []tlog.Hash) {
	for _, line := range lines {
		found = append(found, hash(line))
	}
	return found
}

// tiles reads tiles as C2SP names them: Go's names have the height 8 in them.
type tiles struct{}

func (tiles) Height() int                         { return 8 }
func (tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (tiles) ReadTiles(asked []tlog.Tile) (found [][]byte, err error) {
	for _, tile := range asked {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(os.Args[1], path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

// cosigner verifies cosignature/v1, which Go's tools do not know.
type cosigner struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.id }
func (c cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 72 {
		return false
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(c.key, []byte(message), signature[8:])
}

func newCosigner(vkey string) note.Verifier {
	parts := strings.SplitN(vkey, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	must(err)
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), raw...))
	return cosigner{parts[0], binary.BigEndian.Uint32(sum[:]), raw[1:]}
}

func main() {
	logKey, cosigners, _ := strings.Cut(read("keys"), "\n")
	first, err := note.NewVerifier(logKey)
	must(err)
	known := []note.Verifier{first}
	for _, vkey := range strings.Fields(cosigners) {
		known = append(known, newCosigner(vkey))
	}
	checkpoint, err := note.Open([]byte(read("checkpoint")+"\n"), note.VerifierList(known...))
	must(err)
	text := strings.Split(checkpoint.Text, "\n")
	size, err := strconv.ParseInt(text[1], 10, 64)
	must(err)
	tree := tlog.Tree{N: size, Hash: hash(text[2])}

	reader := tlog.TileHashReader(tree, tiles{})
	for _, index := range []int64{0, 255, 256, size / 2, size - 1} {
		proof, err := tlog.ProveRecord(size, index, reader)
		must(err)
		leaf := tlog.RecordHash([]byte(fmt.Sprintf("record %d", index)))
		must(tlog.CheckRecord(proof, size, tree.Hash, index, leaf))
	}

	head := strings.Split(strings.SplitN(read("proof.tlog-proof"), "\n\n", 2)[0], "\n")
	index, err := strconv.ParseInt(strings.TrimPrefix(head[1], "index "), 10, 64)
	must(err)
	leaf := tlog.RecordHash([]byte(fmt.Sprintf("record %d", index)))
	must(tlog.CheckRecord(hashes(head[2:]), size, tree.Hash, index, leaf))

	old, err := strconv.ParseInt(os.Args[2], 10, 64)
	must(err)
	must(tlog.CheckTree(hashes(strings.Fields(read("consistency"))), size, tree.Hash, old, hash(read("old-root"))))

	bundle := read("tile", "entries", "000")
	length := int(bundle[0])<<8 | int(bundle[1])
	if bundle[2:2+length] != "record 0" {
		must(fmt.Errorf("the first entry is %q", bundle[2:2+length]))
	}
	fmt.Println("signatures", len(checkpoint.Sigs), "size", size)
}
