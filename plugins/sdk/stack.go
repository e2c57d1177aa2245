package sdk

// roomyStack is about what a look-up needs that goes through net/http and TLS.
const roomyStack = 10 << 10

// growStack makes room on the calling goroutine's stack at once, while there is
// next to nothing on it to copy. Otherwise a look-up doubles it several times on
// its way down, and copies more frames each time: that was a tenth of a plugin's
// processor time.
//
//go:noinline
func growStack() {
	var room [roomyStack]byte
	occupy(&room)
}

//go:noinline
func occupy(*[roomyStack]byte) {}
