//! How a packet is added to a flow's counters: the same arithmetic in the kernel and in a replay.

use crate::Packet;
use gateway_common::{Direction, FlowCounters, FlowState, protocol};

const TCP_SYN: u8 = 0x02;
const TCP_ACK: u8 = 0x10;

/// Counters of a flow that has seen nothing yet.
#[inline(always)]
#[must_use]
pub fn fresh(first_boot_ms: u32) -> FlowCounters {
    FlowCounters {
        up_bytes: 0,
        down_bytes: 0,
        up_packets: 0,
        down_packets: 0,
        first_boot_ms,
        state: FlowState { opened: 0, hello_stage: 0, hello_end: 0, tcp_flags: 0 },
    }
}

/// Adds one packet.
#[inline(always)]
pub fn count_into(counters: &mut FlowCounters, packet: &Packet, direction: Direction) {
    let opened_by = match direction {
        Direction::Up => {
            counters.up_bytes = counters.up_bytes.wrapping_add(packet.bytes);
            counters.up_packets = counters.up_packets.wrapping_add(packet.packets);
            FlowState::OPENED_BY_DEVICE
        }
        Direction::Down => {
            counters.down_bytes = counters.down_bytes.wrapping_add(packet.bytes);
            counters.down_packets = counters.down_packets.wrapping_add(packet.packets);
            FlowState::OPENED_BY_PEER
        }
    };
    if packet.key.protocol != protocol::TCP {
        return;
    }
    counters.state.tcp_flags |= packet.tcp_flags;
    if packet.tcp_flags & (TCP_SYN | TCP_ACK) == TCP_SYN {
        counters.state.opened |= opened_by;
        // Ports are used again: a new connection has a hello of its own. Only the device says hello, and no peer may
        // have it listened to anew.
        if direction == Direction::Up {
            counters.state.hello_stage = 0;
        }
    }
}
