package watchers

import "time"

// Options tunes a Hub. The zero value of every field means its default.
type Options struct {
	// MinPublish is the shortest time between two snapshots of a feed: 100 ms, or 250 ms over SSH.
	MinPublish time.Duration
	// Grace is how long a source goes on after its last feed was closed; 30 s.
	Grace time.Duration
	// Beat is the time between two heartbeats; 1 s.
	Beat time.Duration
	// BeatTimeout is the deadline of one heartbeat; 1.5 s.
	BeatTimeout time.Duration
	// Poll is how often a resource without the watch verb is listed; 10 s.
	Poll time.Duration
	// PageSize is the size of a page of a list; 500.
	PageSize int64
	// BackoffMin and BackoffMax bound the time between two attempts of a source; 0.5 s and 5 s, with jitter.
	BackoffMin, BackoffMax time.Duration
	// DeniedRetry is the time between two attempts after the server has refused or does not know the resource; 30 s.
	DeniedRetry time.Duration
	// Stall is how long a list may bring nothing at all before it is given up for the moment; 30 s. A streamed list that began well
	// is read in pages when nothing comes for a third of it.
	Stall time.Duration
	// FallbackNamespaces are read one by one, before others, where the list of all namespaces is denied: the kubeconfig's namespace,
	// and favourites.
	FallbackNamespaces []string
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.MinPublish, MinPublish)
	def(&o.Grace, 30*time.Second)
	def(&o.Beat, time.Second)
	def(&o.BeatTimeout, 1500*time.Millisecond)
	def(&o.Poll, 10*time.Second)
	def(&o.BackoffMin, 500*time.Millisecond)
	def(&o.BackoffMax, 5*time.Second)
	def(&o.DeniedRetry, 30*time.Second)
	def(&o.Stall, 30*time.Second)
	if o.PageSize <= 0 {
		o.PageSize = 500
	}
	return o
}
