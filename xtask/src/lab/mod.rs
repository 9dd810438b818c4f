//! The household: a gateway, its devices and an "Internet", each in a network namespace of its own, with real
//! servers and clients, and no way out.
//!
//! ```text
//!   redmi ─┐                                      ┌─ DNS  (dnsmasq)
//!          ├─ ap ── lan1 ┐                        │
//!   phone2─┘             ├ br-lan ─ gw ─ wan ── inet ─ HTTP, TLS (nginx)
//!   laptop ─────── lan2 ─┘    NAT, DNS, DHCP, RA  │
//!                                                 └─ echo and sink servers of `xtask traffic`
//! ```
//!
//! No namespace has an interface in common with the machine's own, so nothing that runs here can reach a real
//! network, whatever address it names. Everything is removed when the [`Household`] is dropped or its process
//! ends in any way: see [`run`]. Nothing here knows the product's code.

mod devices;
mod evening;
mod gateway;
mod household;
mod internet;
mod netns;
pub mod packages;
pub mod run;
mod telltale;
pub mod traffic;
pub mod truth;

pub use devices::{DEVICES, Device, DeviceSpec, Port};
pub use evening::{Played, play_evening};
pub use household::{GATEWAY_MAC, Household, HouseholdOptions, Offloads};
pub use internet::{
    BLACKHOLE_V4, BLACKHOLE_V6, SITES, Site, TRAFFIC_SERVER_V4, TRAFFIC_SERVER_V6, WEB_SERVER_PORTS,
};
pub use netns::{Namespace, is_lab_namespace};
pub use telltale::{Stopped, Telltale, TelltaleOptions, run_telltale};
