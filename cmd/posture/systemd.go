package main

import "net"

// notifySystemd tells the service manager how the daemon is (sd_notify(3)). It
// does nothing when there is none.
func notifySystemd(socket, state string) error {
	if socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(state))
	return err
}
