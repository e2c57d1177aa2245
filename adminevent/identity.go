package adminevent

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// namespace is the name space of this package's UUIDs.
const namespace = "5d1cbb0e-6f5f-4c0c-9a55-0d2c1c9d0c8e"

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
	var name []byte
	for _, p := range parts {
		name = binary.AppendUvarint(name, uint64(len(p)))
		name = append(name, p...)
	}
	return uuid.NewSHA1(uuid.MustParse(namespace), name).String()
}

// ValidID reports whether a text can be an event's id.
func ValidID(id string) bool {
	_, err := uuid.Parse(id)
	return err == nil && len(id) == len(namespace)
}
