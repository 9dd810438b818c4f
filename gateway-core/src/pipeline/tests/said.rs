//! Conversations that name more than one host: whose bytes these are is not told apart, so the row says that.

use super::*;
use crate::units::DomainName;
use crate::wire::quic::samples::{Initial, crypto};

const PROXIED_B: &[u8] = b"GET http://b.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n";
const PROXIED_A: &[u8] = b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// What the device sends in one conversation, each with its second and its place in the stream; then the row.
fn row_of(key: FlowKey, kind: SampleKind, sent: &[(u64, u32, Vec<u8>)]) -> (Option<String>, Marks) {
    let mut pipeline = Pipeline::default();
    for (secs, seq, payload) in sent {
        let (header, bytes) = sample(kind, Direction::Up, key, secs * SECOND, *seq, payload);
        pipeline.handle_sample(&header, &bytes);
    }
    let opened = u8::from(key.protocol == protocol::TCP);
    let batch = drain(&mut pipeline, 1, vec![flow(key, opened, 61)]);
    let row = &batch.rows[0].key;
    (row.name.as_ref().map(DomainName::to_string), row.marks)
}

#[track_caller]
fn check(key: FlowKey, kind: SampleKind, sent: &[(u64, u32, Vec<u8>)], name: &str, has_rivals: bool) {
    let (found, marks) = row_of(key, kind, sent);
    assert_eq!((found.as_deref(), marks.has(Marks::HAS_RIVALS)), (Some(name), has_rivals));
}

/// A datagram that begins a QUIC connection to this host, as its client names it.
fn quic_to(host: &str, id: &[u8; 8]) -> Vec<u8> {
    let mut payload = crypto(0, &post_quantum(host)[5..]);
    payload.resize(2000, 0);
    Initial::to(id).seal(&payload)
}

#[test]
fn requests_of_one_connection_to_a_proxy_for_two_hosts() {
    let check = |sent: &[(u64, u32, Vec<u8>)], name, has_rivals| {
        check(https(5000), SampleKind::HTTP, sent, name, has_rivals);
    };
    let a = (62, 1, PROXIED_A.to_vec());
    check(&[a.clone(), (63, 1000, PROXIED_B.to_vec())], "b.example", true);
    check(&[a.clone(), (63, 1000, PROXIED_A.to_vec())], "a.example", false);
    check(&[a.clone(), (63, 1000, PROXIED_B.to_vec()), (64, 2000, PROXIED_A.to_vec())], "a.example", true);
    check(&[a], "a.example", false);
}

#[test]
fn a_hello_behind_a_connect_refines_it() {
    let connect = b"CONNECT a.example:443 HTTP/1.1\r\n\r\n".to_vec();
    let hello = (63, 1000, post_quantum("b.example"));
    check(https(5000), SampleKind::HTTP, &[(62, 1, connect), hello], "b.example", false);
}

#[test]
fn two_quic_connections_over_the_same_ports() {
    let quic = key(PHONE, SERVER, 5000, 443, protocol::UDP);
    let (a, b) = (quic_to("a.example", b"first-id"), quic_to("b.example", b"other-id"));
    let check = |sent: &[(u64, u32, Vec<u8>)], name, has_rivals| {
        check(quic, SampleKind::QUIC, sent, name, has_rivals);
    };
    check(&[(62, 0, a.clone()), (63, 0, b)], "b.example", true);
    let again = quic_to("a.example", b"third-id");
    check(&[(62, 0, a.clone()), (63, 0, again)], "a.example", false);
    check(&[(62, 0, a.clone()), (63, 0, a)], "a.example", false);
}

#[test]
fn ports_that_are_used_again_in_a_later_interval_have_one_host() {
    let mut pipeline = Pipeline::default();
    for (epoch, name) in [(1, "a.example"), (2, "b.example")] {
        say_hello(&mut pipeline, https(5000), epoch * 60 + 10, &post_quantum(name));
        let batch = drain(&mut pipeline, epoch, vec![flow(https(5000), 1, epoch * 60 + 9)]);
        assert_eq!(names(&batch), [(Some(name), Evidence::TlsSni)]);
        assert!(!batch.rows[0].key.marks.has(Marks::HAS_RIVALS));
    }
}

#[test]
fn that_there_are_others_is_remembered_over_a_restart() {
    let mut pipeline = Pipeline::default();
    for (secs, seq, payload) in [(62, 1, PROXIED_A), (63, 1000, PROXIED_B)] {
        let (header, bytes) =
            sample(SampleKind::HTTP, Direction::Up, https(5000), secs * SECOND, seq, payload);
        pipeline.handle_sample(&header, &bytes);
    }
    drain(&mut pipeline, 1, vec![flow(https(5000), 1, 61)]);
    let mut heir = Pipeline::default();
    heir.restore(Memory { answers: vec![], conversations: pipeline.open_conversations() });
    let batch = drain(&mut heir, 2, vec![flow(https(5000), 0, 121)]);
    assert!(batch.rows[0].key.marks.has(Marks::HAS_RIVALS));
}
