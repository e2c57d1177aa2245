package batch

import (
	"encoding/hex"
	"time"
)

const (
	idTime   = "20060102T150405.000"
	idRandom = 4 // bytes
)

// ValidID reports whether a text can be a run's id.
func ValidID(id string) bool {
	if len(id) != len(idTime)+1+2*idRandom || id[len(idTime)] != '-' {
		return false
	}
	_, err := time.Parse(idTime, id[:len(idTime)])
	_, random := hex.DecodeString(id[len(idTime)+1:])
	return err == nil && random == nil
}
