package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds on scrapers.
const (
	maxScrapes    = 4 // at a time
	scrapeTimeout = 10 * time.Second
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute // longer than the usual scrape interval
)

// Registry holds all metrics of the director.
func Registry(s Source) *prometheus.Registry {
	r := prometheus.NewRegistry()
	pauses := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/sched/pauses/total/gc:seconds$`)}
	r.MustRegister(
		collector{s},
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(pauses)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return r
}

// A Listener serves /metrics at one address.
type Listener struct {
	l    net.Listener
	http http.Server
}

// Listen binds address, "ip:port". Scrapers wait until Serve.
func Listen(address string, s Source, log *slog.Logger) (*Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("metrics %s: %w", address, err)
	}
	complaints := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	m := http.NewServeMux()
	m.Handle("GET /metrics", promhttp.HandlerFor(Registry(s), promhttp.HandlerOpts{
		ErrorLog:            complaints,
		ErrorHandling:       promhttp.ContinueOnError, // one bad sample does not hide the rest
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	}))
	m.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintln(w, `<!doctype html><title>fleetlb</title><a href="/metrics">metrics</a>`)
	})
	return &Listener{l: l, http: http.Server{
		Handler:           m,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      scrapeTimeout + headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.l.Addr() }

// Serve answers until Close.
func (l *Listener) Serve() error {
	if err := l.http.Serve(l.l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics %s: %w", l.l.Addr(), err)
	}
	return nil
}

// Close lets scrapes under way finish until ctx is done.
func (l *Listener) Close(ctx context.Context) error {
	defer l.l.Close() // had Serve not been called
	if l.http.Shutdown(ctx) != nil {
		return l.http.Close()
	}
	return nil
}
