//! Takes the snapshot by rtnetlink (`man 7 rtnetlink`). Reads only.

use super::snapshot::{Link, LinkKind, Snapshot};
use anyhow::Context;
use futures_util::TryStreamExt;
use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use std::net::IpAddr;

/// Reads links, addresses and default routes of this network namespace.
///
/// # Errors
/// When rtnetlink cannot be opened or does not answer.
pub async fn read_snapshot() -> anyhow::Result<Snapshot> {
    let (connection, handle, _) = rtnetlink::new_connection().context("open an rtnetlink socket")?;
    // Ends by itself when the handle is dropped.
    tokio::spawn(connection);
    let mut snapshot = Snapshot::default();

    let mut links = std::pin::pin!(handle.link().get().execute());
    while let Some(message) = links.try_next().await.context("list the network interfaces")? {
        if let Some(link) = link_of(&message) {
            snapshot.links.insert(link.index, link);
        }
    }
    let mut addrs = std::pin::pin!(handle.address().get().execute());
    while let Some(message) = addrs.try_next().await.context("list the interface addresses")? {
        snapshot.addrs.extend(addr_of(&message));
    }
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        let mut routes = std::pin::pin!(handle.route().get(request).execute());
        loop {
            match routes.try_next().await {
                Ok(Some(message)) => snapshot.way_out.extend(way_out_of(&message)),
                Ok(None) => break,
                // A kernel without IPv6, or with it switched off, has no such table.
                Err(_) if family == AddressFamily::Inet6 => break,
                Err(error) => return Err(error).context("list the routes"),
            }
        }
    }
    Ok(snapshot)
}

fn link_of(message: &LinkMessage) -> Option<Link> {
    let header = &message.header;
    let mut link = Link {
        index: header.index,
        name: String::new(),
        kind: LinkKind::Plain,
        is_up: header.flags.contains(LinkFlags::Up),
        is_loopback: header.flags.contains(LinkFlags::Loopback),
        mac: None,
        lower: None,
        controller: None,
    };
    let mut is_lower_elsewhere = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) if header.link_layer_type == LinkLayerType::Ether => {
                link.mac = bytes.as_slice().try_into().ok();
            }
            LinkAttribute::Link(lower) if *lower != header.index => link.lower = Some(*lower),
            LinkAttribute::LinkNetNsId(_) => is_lower_elsewhere = true,
            LinkAttribute::Controller(controller) => link.controller = Some(*controller),
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.iter().find_map(kind_of).unwrap_or(LinkKind::Plain);
            }
            _ => {}
        }
    }
    if header.link_layer_type == LinkLayerType::Ppp {
        link.kind = LinkKind::Ppp;
    } else if link.kind == LinkKind::Tunnel && link.mac.is_some() {
        // A tap device, which is like any Ethernet interface.
        link.kind = LinkKind::Plain;
    }
    if is_lower_elsewhere {
        link.lower = None;
    }
    (!link.name.is_empty()).then_some(link)
}

fn kind_of(info: &LinkInfo) -> Option<LinkKind> {
    let LinkInfo::Kind(kind) = info else { return None };
    Some(match kind {
        InfoKind::Bridge => LinkKind::Bridge,
        InfoKind::Vlan | InfoKind::MacVlan | InfoKind::MacVtap | InfoKind::IpVlan | InfoKind::IpVtap => {
            LinkKind::Stacked
        }
        InfoKind::Dummy | InfoKind::Ifb => LinkKind::Virtual,
        InfoKind::Wireguard
        | InfoKind::Tun
        | InfoKind::GreTun
        | InfoKind::GreTun6
        | InfoKind::IpIp
        | InfoKind::SitTun
        | InfoKind::Ip6Tnl
        | InfoKind::Vti
        | InfoKind::Xfrm => LinkKind::Tunnel,
        // A switch's user port (DSA) also has a link under it, the conduit: frames there carry switch tags.
        _ => LinkKind::Plain,
    })
}

fn addr_of(message: &AddressMessage) -> Option<(u32, IpNetwork)> {
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    // On a point-to-point link `Address` is the peer's and `Local` is ours (`man 7 rtnetlink`).
    let local = find(|a| if let AddressAttribute::Local(addr) = a { Some(*addr) } else { None });
    let addr = local
        .or_else(|| find(|a| if let AddressAttribute::Address(addr) = a { Some(*addr) } else { None }))?;
    Some((message.header.index, IpNetwork::new(addr, message.header.prefix_len).ok()?))
}

/// The interfaces a default route leaves by; none if it is not one. Halves (0.0.0.0/1 and 128.0.0.0/1, as VPN
/// clients set) and the whole of IPv6's global space (2000::/3) count as default.
fn way_out_of(message: &RouteMessage) -> Vec<u32> {
    let longest = if message.header.address_family == AddressFamily::Inet6 { 3 } else { 1 };
    if message.header.kind != RouteType::Unicast || message.header.destination_prefix_length > longest {
        return Vec::new();
    }
    let mut interfaces = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => interfaces.push(*index),
            RouteAttribute::MultiPath(hops) => interfaces.extend(hops.iter().map(|hop| hop.interface_index)),
            _ => {}
        }
    }
    interfaces
}
