//! As much of MQTT 5 as observers and a hostile broker need: packets as bytes, written by hand, so that the tests do not
//! believe the library under test.

use std::io::{self, Read, Write};
use std::net::TcpStream;

pub const CONNECT: u8 = 1;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const DISCONNECT: u8 = 14;
const PINGREQ: u8 = 12;

/// A packet: its kind, the flags of its first byte, and what follows the length.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub kind: u8,
    pub flags: u8,
    pub body: Vec<u8>,
}

impl Packet {
    pub fn new(kind: u8, flags: u8, body: Vec<u8>) -> Self {
        Self { kind, flags, body }
    }

    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let first = byte(from)?;
        let mut length = 0_usize;
        for shift in [0, 7, 14, 21] {
            let part = byte(from)?;
            length |= usize::from(part & 0x7f) << shift;
            if part & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        Ok(Self { kind: first >> 4, flags: first & 0x0f, body })
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind << 4 | self.flags];
        let mut length = self.body.len();
        loop {
            let more = if length > 127 { 0x80 } else { 0 };
            bytes.push((length & 0x7f) as u8 | more);
            length >>= 7;
            if length == 0 {
                break;
            }
        }
        bytes.extend(&self.body);
        bytes
    }

    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.bytes())
    }

    /// Topic, packet id (0 with QoS 0) and payload of a PUBLISH.
    pub fn publish(&self) -> Option<(String, u16, Vec<u8>)> {
        let mut rest = self.body.as_slice();
        let topic = take_text(&mut rest)?;
        let id = if self.flags & 0x06 == 0 { 0 } else { take_u16(&mut rest)? };
        let properties = take_length(&mut rest)?;
        (self.kind == PUBLISH).then(|| Some((topic, id, rest.get(properties..)?.to_vec())))?
    }

    /// Packet id and reason of a PUBACK.
    pub fn puback(&self) -> Option<(u16, u8)> {
        let mut rest = self.body.as_slice();
        let id = take_u16(&mut rest)?;
        (self.kind == PUBACK).then(|| (id, rest.first().copied().unwrap_or(0)))
    }
}

pub fn connack(session_present: bool, reason: u8, receive_max: u16) -> Packet {
    let mut body = vec![u8::from(session_present), reason, 3, 0x21];
    body.extend(receive_max.to_be_bytes());
    Packet::new(2, 0, body)
}

pub fn puback(id: u16, reason: u8) -> Packet {
    let mut body = id.to_be_bytes().to_vec();
    if reason != 0 {
        body.extend([reason, 0]);
    }
    Packet::new(PUBACK, 0, body)
}

pub fn disconnect(reason: u8) -> Packet {
    Packet::new(DISCONNECT, 0, vec![reason, 0])
}

/// A PUBLISH from the broker with QoS 0.
pub fn garbage(topic: &str, payload: &[u8], retain: bool) -> Packet {
    let mut body = text(topic);
    body.push(0);
    body.extend(payload);
    Packet::new(PUBLISH, u8::from(retain), body)
}

pub fn connect(client_id: &str) -> Packet {
    let mut body = text("MQTT");
    // Version 5, clean start, keep-alive 60 s, no properties.
    body.extend([5, 0x02, 0, 60, 0]);
    body.extend(text(client_id));
    Packet::new(CONNECT, 0, body)
}

pub fn subscribe(filter: &str) -> Packet {
    let mut body = vec![0, 1, 0];
    body.extend(text(filter));
    body.push(1);
    Packet::new(8, 2, body)
}

/// Answers a ping; `true` when it was one.
pub fn pong(packet: &Packet, to: &mut TcpStream) -> bool {
    packet.kind == PINGREQ && to.write_all(&[13 << 4, 0]).is_ok()
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = (value.len() as u16).to_be_bytes().to_vec();
    bytes.extend(value.as_bytes());
    bytes
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    let mut one = [0];
    from.read_exact(&mut one)?;
    Ok(one[0])
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    *rest = tail;
    Some(u16::from_be_bytes(*head))
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::from(take_u16(rest)?);
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    String::from_utf8(head.to_vec()).ok()
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let (part, tail) = rest.split_first()?;
        *rest = tail;
        length |= usize::from(part & 0x7f) << shift;
        if part & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}
