package landesk

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// Error numbers of SQL Server, as its documentation "Database Engine events and
// errors" lists them.
const (
	errInvalidColumn     = 207
	errInvalidObject     = 208
	errPermission        = 229
	errColumnPermission  = 230
	errNoAccess          = 916
	errDeadlock          = 1205
	errLockTimeout       = 1222
	errCannotOpen        = 4060
	errShuttingDown      = 6005
	errLowMemory         = 701
	errMemoryTimeout     = 8645
	errResourceLimit     = 10928
	errResourceBusy      = 10929
	errServiceProcessing = 40197
	errServiceBusy       = 40501
	errUnavailable       = 40613
	errTokenFailed       = 18452
	errLoginFailed       = 18456
	errLoginDisabled     = 18470
	errPasswordExpired   = 18487
	errPasswordChange    = 18488
)

// handshakeFailed starts the text of the driver's error about a TLS handshake,
// whose cause it drops in one of its two places.
const handshakeFailed = "TLS Handshake"

// classify turns whatever went wrong into a [fault.Error] with a remedy.
func (db *database) classify(ctx context.Context, err error, st statement) error {
	var refused mssql.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return st.failed(fault.Unavailable, context.Canceled, "", "")
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return st.failed(fault.Timeout, context.DeadlineExceeded, "the database did not answer in time",
			"raise TIMEOUT of this plugin, or find out why the database is slow or cannot be reached")
	case errors.Is(err, errTooLarge):
		return st.failed(fault.BadResponse, err, "", "check that LANDESK_SQL_DATABASE is LANDESK's database")
	case errors.As(err, &refused):
		return db.refused(refused, st)
	case isHandshake(err):
		return st.failed(fault.Unavailable, err, "the encrypted connection could not be set up",
			"check the server's certificate, or name its authority in CA_FILE; LANDESK_SQL_ENCRYPT tells how to encrypt")
	case broken(err):
		return st.failed(fault.Unavailable, err, "", networkRemedy(err))
	default:
		return st.failed(fault.BadResponse, err, "", "check that LANDESK_SQL_HOSTNAME and LANDESK_SQL_HOSTPORT are a SQL Server's, "+
			"and that it offers the encryption that LANDESK_SQL_ENCRYPT asks for")
	}
}

func networkRemedy(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return "check LANDESK_SQL_HOSTNAME, and DNS"
	}
	return "check LANDESK_SQL_HOSTNAME, LANDESK_SQL_HOSTPORT, the firewall, and that the SQL Server runs"
}

// refused classifies an error that the server sent.
func (db *database) refused(e mssql.Error, st statement) error {
	switch {
	case has(e, errCannotOpen, errNoAccess):
		// Sent together with a failed log-in, but the database is the cause.
		return st.failed(fault.Forbidden, e, "", "check LANDESK_SQL_DATABASE, and that LANDESK_SQL_USERNAME is a user of that database")
	case has(e, errLoginFailed, errLoginDisabled, errPasswordExpired, errPasswordChange, errTokenFailed):
		return st.failed(fault.Unauthenticated, e, "", "check LANDESK_SQL_USERNAME and LANDESK_SQL_PASSWORD, and that the server allows SQL Server log-ins")
	case has(e, errPermission, errColumnPermission):
		return st.failed(fault.Forbidden, e, "", "grant LANDESK_SQL_USERNAME SELECT on what the message names")
	case has(e, errInvalidObject, errInvalidColumn):
		return st.failed(fault.BadResponse, e, "", "check that LANDESK_SQL_DATABASE is LANDESK's database, and that its version has what the message names")
	case transient(e):
		return st.failed(fault.Unavailable, e, "", "the database is busy; try again later, or lower CONCURRENCY of this plugin")
	default:
		return st.failed(fault.BadResponse, e, "", "see the SQL Server's error log for what the message means")
	}
}

// has reports whether one of an answer's errors has one of the numbers.
func has(e mssql.Error, numbers ...int32) bool {
	for _, n := range numbers {
		if e.Number == n {
			return true
		}
		for _, other := range e.All {
			if other.Number == n {
				return true
			}
		}
	}
	return false
}

// transient reports whether trying again may help.
func transient(err error) bool {
	var refused mssql.Error
	if errors.As(err, &refused) {
		return has(refused, errDeadlock, errLockTimeout, errShuttingDown, errLowMemory, errMemoryTimeout,
			errResourceLimit, errResourceBusy, errServiceProcessing, errServiceBusy, errUnavailable)
	}
	return broken(err)
}

// broken reports whether the network failed, rather than what came over it.
func broken(err error) bool {
	if err == nil || errors.Is(err, errTooLarge) || isHandshake(err) {
		return false
	}
	var (
		network net.Error
		stream  mssql.StreamError
	)
	if errors.As(err, &stream) { // which does not unwrap by itself
		err = stream.InnerError
	}
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, driver.ErrBadConn)
}

func isHandshake(err error) bool {
	var connecting *connectError
	return errors.As(err, &connecting) && (upstream.IsTLSError(err) || strings.HasPrefix(connecting.Error(), handshakeFailed))
}
