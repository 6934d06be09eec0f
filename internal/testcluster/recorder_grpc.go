package testcluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

// Message decodes the first message of a gRPC request, as far as it was recorded.
func (r Request) Message(into proto.Message) error {
	msg, _, err := nextMessage(r.Body())
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	return proto.Unmarshal(msg, into)
}

// nextMessage cuts the first message off a gRPC body: one byte that says whether it is compressed, four of length.
func nextMessage(b []byte) (msg, rest []byte, err error) {
	if len(b) < 5 {
		return nil, nil, errors.New("no gRPC message has come")
	}
	n := int(binary.BigEndian.Uint32(b[1:5]))
	if b[0] != 0 || n > len(b)-5 {
		return nil, nil, fmt.Errorf("a gRPC message of %d bytes (compressed: %d) is not whole", n, b[0])
	}
	return b[5 : 5+n], b[5+n:], nil
}

// statusToTrailer makes an ordinary answer of one that is only trailers (gRPC's way to answer with an error at once): its status
// stands in the header, and Go's server would not end the stream with that header.
func statusToTrailer(res *http.Response) {
	for _, k := range []string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"} {
		if v, ok := res.Header[k]; ok {
			if res.Trailer == nil {
				res.Trailer = http.Header{}
			}
			res.Trailer[k] = v
			delete(res.Header, k)
		}
	}
}

// rewriteMemberList puts the proxies' addresses in place of the members' client URLs, so that who follows the member list comes to the
// proxies again.
func rewriteMemberList(fronts map[string]string) func(*http.Response) error {
	return func(res *http.Response) error {
		if res.Request.URL.Path != pb.Cluster_MemberList_FullMethodName || res.StatusCode != http.StatusOK {
			return nil
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		res.Body = io.NopCloser(bytes.NewReader(body))
		if len(body) == 0 {
			return nil // an error, in the trailers
		}
		msg, _, err := nextMessage(body)
		if err != nil {
			return err
		}
		var list pb.MemberListResponse
		if err := proto.Unmarshal(msg, &list); err != nil {
			return err
		}
		for _, m := range list.Members {
			for i, u := range m.ClientURLs {
				if front, ok := fronts[u]; ok {
					m.ClientURLs[i] = front
				}
			}
		}
		msg, err = proto.Marshal(&list)
		if err != nil {
			return err
		}
		body = append([]byte{0, 0, 0, 0, 0}, msg...)
		binary.BigEndian.PutUint32(body[1:5], uint32(len(msg)))
		res.Body = io.NopCloser(bytes.NewReader(body))
		res.ContentLength = -1
		res.Header.Del("Content-Length")
		return nil
	}
}
