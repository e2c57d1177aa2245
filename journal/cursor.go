package journal

import (
	"math"
	"strconv"
	"strings"
)

// Cursor is a place in a log: a record's time in microseconds since 1970, and
// its number, which tells those of one time apart. A page begins below it.
type Cursor struct{ At, Number int64 }

// String gives the cursor as [Page] has it in Next.
func (c Cursor) String() string {
	return strconv.FormatInt(c.At, 10) + "." + strconv.FormatInt(c.Number, 10)
}

// parseCursor is the inverse of String; of an empty text it is the cursor above
// all records.
func parseCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{At: math.MaxInt64, Number: math.MaxInt64}, nil
	}
	at, number, _ := strings.Cut(text, ".")
	var (
		c         Cursor
		err, err2 error
	)
	c.At, err = strconv.ParseInt(at, 10, 64)
	c.Number, err2 = strconv.ParseInt(number, 10, 64)
	if err != nil || err2 != nil {
		return Cursor{}, refuse("after", text, "is not where a page ended")
	}
	return c, nil
}
