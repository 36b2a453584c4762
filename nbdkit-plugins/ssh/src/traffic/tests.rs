// SPDX-License-Identifier: BSD-3-Clause
//! What becomes of calls, whatever the server says.

use super::*;
use crate::lane::{Answer, Lane, Limits};
use futures_lite::future::{block_on, poll_once};
use nbdkit_plugin::{Buf, Pool};
use proptest::prelude::*;

fn session() -> (Lane, Traffic) {
    let (lane, shared) = Lane::new(Limits { read: 100, write: 100 });
    (lane, Traffic::new(shared, b"h".to_vec(), 1))
}

fn read(lane: &Lane, len: usize) -> Answer<Buf> {
    lane.read(Pool::new().get(len), 1000)
}

/// What the server is asked, packet by packet.
fn sent(traffic: &mut Traffic) -> Vec<Vec<u8>> {
    traffic.take_calls();
    let mut packets = Vec::new();
    while let Some(len) = wire::length(traffic.unsent()).unwrap() {
        packets.push(traffic.unsent()[..len].to_vec());
        traffic.has_sent(len);
    }
    packets
}

fn receive(traffic: &mut Traffic, bytes: &[u8]) -> Result<(), String> {
    traffic.room()[..bytes.len()].copy_from_slice(bytes);
    traffic.has_received(bytes.len())
}

fn packet(kind: u8, id: u32, body: &[u8]) -> Vec<u8> {
    let len = 5 + body.len() as u32;
    [&len.to_be_bytes(), &[kind][..], &id.to_be_bytes(), body].concat()
}

fn data(id: u32, bytes: &[u8]) -> Vec<u8> {
    packet(103, id, &[&(bytes.len() as u32).to_be_bytes(), bytes].concat())
}

fn status(id: u32, code: u32) -> Vec<u8> {
    packet(101, id, &code.to_be_bytes())
}

#[test]
fn answers_find_their_calls_in_any_order_and_any_pieces() {
    let (lane, mut traffic) = session();
    let (first, second) = (read(&lane, 3), read(&lane, 2));
    let write = lane.write(Buf::from_static(b"xyz"), 7);
    assert_eq!(sent(&mut traffic).len(), 3);
    assert_eq!(lane.calls(), 3);
    let replies = [data(2, b"de"), status(3, 0), data(1, b"abc")].concat();
    for byte in replies {
        receive(&mut traffic, &[byte]).unwrap();
    }
    assert_eq!(&*block_on(first).unwrap(), b"abc");
    assert_eq!(&*block_on(second).unwrap(), b"de");
    block_on(write).unwrap();
    assert!(traffic.is_idle());
    assert_eq!(lane.calls(), 0);
}

#[test]
fn a_short_read_is_continued_where_it_ended() {
    let (lane, mut traffic) = session();
    let answer = read(&lane, 5);
    sent(&mut traffic);
    receive(&mut traffic, &data(1, b"ab")).unwrap();
    let mut expected = Vec::new();
    Request::Read { handle: b"h", offset: 1002, len: 3 }.write(2, &mut expected);
    assert_eq!(sent(&mut traffic), [expected]);
    receive(&mut traffic, &data(2, b"cde")).unwrap();
    assert_eq!(&*block_on(answer).unwrap(), b"abcde");
}

#[test]
fn refusals_reach_who_asked_and_nobody_else() {
    let (lane, mut traffic) = session();
    let (first, second, sync) = (read(&lane, 5), read(&lane, 5), lane.sync());
    sent(&mut traffic);
    receive(&mut traffic, &[status(1, 1), status(3, 3), data(2, b"abcde")].concat()).unwrap();
    assert!(block_on(first).unwrap_err().to_string().contains("shorter now"));
    assert_eq!(block_on(sync).unwrap_err().errno(), EACCES);
    assert_eq!(&*block_on(second).unwrap(), b"abcde");
}

#[test]
fn lies_end_the_session() {
    for (reply, why) in [
        (data(9, b"abcde"), "a reply to nothing"),
        (data(1, b"abcdef"), "6 bytes where 5 were asked for"),
        (data(1, b""), "0 bytes where 5 were asked for"),
        (status(1, 0), "success where data was asked for"),
        (packet(102, 1, b"\0\0\0\0"), "a reply of the wrong kind"),
        (vec![255; 20], "should be 1 to 262144"),
        (packet(50, 1, b""), "unknown kind 50"),
    ] {
        let (lane, mut traffic) = session();
        let answer = read(&lane, 5);
        sent(&mut traffic);
        let error = receive(&mut traffic, &reply).unwrap_err();
        assert!(error.contains(why), "{error}");
        drop(traffic);
        assert_eq!(block_on(answer).err().unwrap().errno(), EIO);
        assert!(lane.is_lost());
        assert!(block_on(read(&lane, 5)).is_err(), "whoever asks later learns it, too");
    }
}

#[test]
fn what_waits_in_the_queue_is_not_copied_ahead() {
    let (lane, mut traffic) = session();
    let data = Buf::from(vec![7; 100_000]);
    let writes: Vec<_> = (0..30).map(|i| lane.write(data.clone(), i * 100_000)).collect();
    traffic.take_calls();
    assert!(traffic.unsent().len() < AHEAD + 200_000);
    let mut begun = 0;
    while begun < 30 {
        begun += sent(&mut traffic).len();
    }
    for id in 1..=30 {
        receive(&mut traffic, &status(id, 0)).unwrap();
    }
    writes.into_iter().for_each(|write| block_on(write).unwrap());
}

proptest! {
    #[test]
    fn any_bytes_leave_nobody_waiting(bytes in prop::collection::vec(any::<u8>(), 0..60), kind in 99u8..106, id in 0u32..4) {
        let (lane, mut traffic) = session();
        let answers = [read(&lane, 5), read(&lane, 50)];
        let sync = lane.sync();
        sent(&mut traffic);
        let _ = receive(&mut traffic, &packet(kind, id, &bytes)).and_then(|()| receive(&mut traffic, &bytes));
        drop(traffic);
        for answer in answers {
            prop_assert!(block_on(poll_once(answer)).is_some());
        }
        prop_assert!(block_on(poll_once(sync)).is_some());
    }
}
