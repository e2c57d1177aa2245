package adminevent

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// namespace is the name space of this package's UUIDs.
func namespace() uuid.UUID {
	return uuid.UUID{0x5d, 0x1c, 0xbb, 0x0e, 0x6f, 0x5f, 0x4c, 0x0c, 0x9a, 0x55, 0x0d, 0x2c, 0x1c, 0x9d, 0x0c, 0x8e}
}

// Fingerprint tells which failures are the same: a UUID made of domain, type,
// code, the type of the resource, the resource, source and whether it was ad
// hoc. What changes from one occurrence to the next, such as message, level,
// actor and request id, is not part of it.
func Fingerprint(e Event) string {
	return identify(e.Domain, e.Type.String(), e.Code, e.Resource.Type, subjectOf(e.Resource), e.Source, strconv.FormatBool(e.AdHoc))
}

// IDFor gives the id of a new row: of a fingerprint, in one batch, by the time of
// its first occurrence. It is the same however often the batch is tried.
func IDFor(e Event, batch string) string {
	return identify(Fingerprint(e), batch, strconv.FormatInt(e.CreatedAt.UnixMicro(), 10))
}

// subjectOf names a resource in the same way however it was written.
func subjectOf(r Resource) string {
	if r.ID != "" {
		return r.ID
	}
	return strings.ToLower(r.Name)
}

// identify makes a UUID of version 5 of several texts, each with its length
// before it, so that no two lists of texts run together to the same.
func identify(parts ...string) string {
	name := make([]byte, 0, 256)
	for _, p := range parts {
		name = binary.AppendUvarint(name, uint64(len(p)))
		name = append(name, p...)
	}
	return uuid.NewSHA1(namespace(), name).String()
}

// ValidID reports whether a text can be an event's id.
func ValidID(id string) bool {
	_, err := uuid.Parse(id)
	return err == nil && len(id) == len("00000000-0000-0000-0000-000000000000")
}
