package actions

import (
	"crypto/sha256"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fathom/actions/journal"
)

// Annotations of a journal record.
const (
	annotationAction   = "fathom/action"
	annotationInput    = "fathom/input"
	annotationCluster  = "fathom/cluster"
	annotationContext  = "fathom/context"
	annotationServer   = "fathom/server"
	annotationEtcd     = "fathom/etcd" // the endpoints, for an action on etcd
	annotationMember   = "fathom/member-id"
	annotationEndpoint = "fathom/endpoint"
	annotationVersion  = "fathom/version"
	annotationOSUser   = "fathom/os-user"  // who ran fathom, whatever the credentials say
	annotationOutcome  = "fathom/outcome"  // Status
	annotationOverride = "fathom/override" // what was typed against a refusal
	annotationRun      = "fathom/run"      // of a step: the audit ID of the action it belongs to
	annotationStep     = "fathom/step"     // "2/5 Defragment etcd-2"
)

// record is the intent to perform a request.
func (r *Runner) record(a Action, req Request) journal.Event {
	id := identify(r.cluster)
	t := req.Target
	at := journal.MicroTime{Time: req.At}
	e := journal.Event{
		AuditID: req.AuditID, Stage: journal.RequestReceived, Verb: a.Verb,
		User: journal.User{Username: id.User}, UserAgent: "fathom/" + r.version,
		ObjectRef: &journal.ObjectRef{
			Resource: t.Resource, Namespace: t.Namespace, Name: legible(t.Name), UID: legible(t.UID), APIGroup: t.Group, APIVersion: t.Version,
			ResourceVersion: t.ResourceVersion, Subresource: a.Subresource,
		},
		RequestReceivedTimestamp: at, StageTimestamp: at,
		Annotations: map[string]string{annotationAction: a.ID, annotationVersion: r.version, annotationOSUser: osUser()},
	}
	if id.Impersonated != "" {
		e.ImpersonatedUser = &journal.User{Username: id.Impersonated}
	}
	for k, v := range map[string]string{annotationCluster: id.Cluster, annotationContext: id.Context, annotationServer: id.Server} {
		if v != "" {
			e.Annotations[k] = v
		}
	}
	if a.Input != nil {
		e.Annotations[annotationInput] = journalled(a, t, req.Input)
	}
	if req.Override != "" {
		e.Annotations[annotationOverride] = req.Override
	}
	if a.Permission == nil { // on etcd
		e.Annotations[annotationEtcd] = id.Etcd
		if t.Endpoint != "" {
			e.Annotations[annotationEndpoint] = t.Endpoint
		}
	}
	if t.Member != 0 {
		e.Annotations[annotationMember] = strconv.FormatUint(t.Member, 16)
	}
	return e
}

// legible keeps names that are no UTF-8 apart: keys of etcd are any bytes, JSON is text, and the journal says which one was deleted. Such a name is
// quoted as Go (strconv.Quote) and etcdctl's "-w fields" write it.
func legible(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return strconv.Quote(name)
}

// journalled is how an input is kept. Of a value that may be secret there is its size and its hash; of one that is stored among the
// Secrets its size only, since a short one can be found from its hash.
func journalled(a Action, t Target, input string) string {
	switch {
	case !a.Input.Hidden:
		return input
	case strings.Contains("/"+t.Name, "/secrets/"):
		return fmt.Sprintf("%d bytes", len(input))
	}
	return fmt.Sprintf("%d bytes, SHA-256 %x", len(input), sha256.Sum256([]byte(input)))
}

// completed is the outcome that belongs to an intent.
func (r *Runner) completed(intent journal.Event, o Outcome) journal.Event {
	e := intent
	e.Stage = journal.ResponseComplete
	e.StageTimestamp = journal.MicroTime{Time: time.Now()}
	e.ResponseStatus = &journal.ResponseStatus{Status: "Failure", Message: o.Message, Reason: o.Status.String()}
	switch o.Status {
	case Done:
		e.ResponseStatus.Status = "Success"
	case Unknown:
		e.ResponseStatus.Status = "Unknown"
	}
	e.Annotations = map[string]string{annotationOutcome: o.Status.String()}
	for k, v := range intent.Annotations {
		e.Annotations[k] = v
	}
	return e
}

func osUser() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}
