package supervise

import (
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// keeping serves its journal to one process.
type keeping struct {
	server *grpc.Server
	done   chan struct{} // closed when nothing is served any more
}

// keep serves the process its journal, if it asks for one and there is one, on a
// socket that only it can use. It gives the id by which the process finds it;
// zero: there is none.
func (p *process) keep(name string, o Options) (id uint32, err error) {
	if !p.desc.Journal || o.Journal == nil {
		return 0, nil
	}
	id, listener, err := p.conn.Listen()
	if err != nil {
		return 0, &fault.Error{
			Kind: fault.Unavailable, Source: name, Op: "serve the plugin's journal", Err: err,
			Remedy: "a plugin that asks for a journal must speak go-plugin's broker; see docs/plugin-protocol.md",
		}
	}
	p.keeping = serveJournal(listener, sdk.NewJournalServer(o.Journal(name), o.Logger.With("plugin", name), grpc.Creds(credentials.NewTLS(p.tls))))
	return id, nil
}

func serveJournal(listener net.Listener, server *grpc.Server) *keeping {
	k := &keeping{server: server, done: make(chan struct{})}
	go func() {
		defer close(k.done)
		_ = server.Serve(listener) // until stop
	}()
	return k
}

// stop ends the serving, and calls off what is still under way. A nil keeping
// serves nothing.
func (k *keeping) stop() {
	if k == nil {
		return
	}
	k.server.Stop()
	<-k.done
}
