//! Hooks on ports: tcx where the kernel has it (6.6 and later), else clsact with a filter at a fixed place.
//!
//! A hook outlives the daemon: a tcx link is pinned, a clsact filter stays by itself. A daemon that finds its
//! hook from before swaps the program in it, so not one packet goes by uncounted.

use super::{Kernel, PinDirectory, load::program};
use anyhow::Context;
use aya::{
    Ebpf,
    programs::{
        LinkOrder, SchedClassifier, TcAttachType,
        links::{FdLink, PinnedLink},
        tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle},
    },
};
use gateway_common::map_name;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The filter's place, the same on every run so that a daemon finds its own: first in order, and a handle that
/// nobody picks by chance.
const PRIORITY: u16 = 1;
const HANDLE: TcHandle = TcHandle::new(0, 0x7e11);

/// By what means a port is hooked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum HookKind {
    /// A tcx link, first in order, pinned.
    Tcx,
    /// A filter on the clsact qdisc.
    Clsact,
}

impl HookKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

const HOOKS: [(&str, TcAttachType, &str); 2] = [
    ("ingress", TcAttachType::Ingress, map_name::PROGRAM_INGRESS),
    ("egress", TcAttachType::Egress, map_name::PROGRAM_EGRESS),
];

/// The ports that are hooked now.
#[derive(Debug, Default)]
pub struct Attachments {
    ports: BTreeMap<u32, (String, HookKind)>,
    /// Do not even try tcx: for kernels and tests that want the older way.
    is_tcx_off: bool,
}

impl Attachments {
    /// None yet.
    #[must_use]
    pub fn new(is_tcx_off: bool) -> Self {
        Self { ports: BTreeMap::new(), is_tcx_off }
    }

    /// Which ports, by interface index, with their names and kinds of hook.
    pub fn ports(&self) -> impl Iterator<Item = (u32, &str, HookKind)> {
        self.ports.iter().map(|(index, (name, kind))| (*index, name.as_str(), *kind))
    }

    /// Is this port hooked?
    #[must_use]
    pub fn has(&self, index: u32) -> bool {
        self.ports.contains_key(&index)
    }

    /// Hooks a port, both ways. Taking over hooks from before counts as hooking.
    ///
    /// # Errors
    /// When the kernel refuses both ways; the port is then not hooked at all.
    pub fn attach(&mut self, kernel: &mut Kernel, index: u32, name: &str) -> anyhow::Result<HookKind> {
        let Kernel { ebpf, pins, .. } = kernel;
        let kind = match self.is_tcx_off {
            true => attach_clsact(ebpf, name).map(|()| HookKind::Clsact),
            false => match attach_tcx(ebpf, pins, index, name) {
                Ok(()) => Ok(HookKind::Tcx),
                Err(tcx) => attach_clsact(ebpf, name)
                    .map(|()| HookKind::Clsact)
                    .with_context(|| format!("{tcx:#}; and by the older way")),
            },
        }
        .with_context(|| format!("hook {name}"))?;
        self.ports.insert(index, (name.to_owned(), kind));
        Ok(kind)
    }

    /// Unhooks a port. Of an interface that is gone only the pins are left to remove.
    pub fn detach(&mut self, pins: &PinDirectory, index: u32) {
        let hook = self.ports.remove(&index);
        for (word, attach_type, _) in HOOKS {
            // An interface that is gone has taken its filters along; a pin that is gone is what we want.
            let _ = fs::remove_file(pins.link(index, word));
            if let Some((name, HookKind::Clsact)) = &hook
                && let Ok(link) = SchedClassifierLink::attached(name, attach_type, PRIORITY, HANDLE, None)
            {
                // Dropping a link detaches it.
                drop(link);
            }
        }
    }

    /// Removes every hook that a daemon before us left, but for those on the interfaces in `keep`.
    ///
    /// # Errors
    /// When the pins or the interfaces cannot be listed.
    pub fn detach_others(pins: &PinDirectory, keep: &BTreeSet<u32>) -> anyhow::Result<()> {
        for (_, pin) in pins.links()?.into_iter().filter(|(index, _)| !keep.contains(index)) {
            fs::remove_file(&pin).with_context(|| format!("remove the hook {}", pin.display()))?;
        }
        for interface in nix::net::if_::if_nameindex().context("list the network interfaces")?.iter() {
            if keep.contains(&interface.index()) {
                continue;
            }
            for (_, attach_type, _) in HOOKS {
                let name = interface.name().to_string_lossy();
                // Dropping a link detaches it. Where there is no filter of ours the kernel says so, and that is
                // what is wanted.
                drop(SchedClassifierLink::attached(&name, attach_type, PRIORITY, HANDLE, None));
            }
        }
        Ok(())
    }

    /// Unhooks every port.
    pub fn detach_all(&mut self, pins: &PinDirectory) {
        for index in self.ports.keys().copied().collect::<Vec<_>>() {
            self.detach(pins, index);
        }
    }
}

fn attach_tcx(ebpf: &mut Ebpf, pins: &PinDirectory, index: u32, name: &str) -> anyhow::Result<()> {
    for (at, (word, attach_type, program_name)) in HOOKS.into_iter().enumerate() {
        let program = program(ebpf, program_name)?;
        let pin = pins.link(index, word);
        if take_over(program, &pin) {
            continue;
        }
        // Dead (its interface is gone) or missing.
        let _ = fs::remove_file(&pin);
        if let Err(error) = attach_and_pin(program, name, attach_type, &pin) {
            // Half a port would count half the truth.
            for (word, ..) in HOOKS.into_iter().take(at) {
                let _ = fs::remove_file(pins.link(index, word));
            }
            return Err(error).with_context(|| format!("attach to {word} of {name} by tcx"));
        }
    }
    Ok(())
}

/// Swaps the program in a pinned link, if there is one that is alive.
fn take_over(program: &mut SchedClassifier, pin: &Path) -> bool {
    let Ok(pinned) = PinnedLink::from_pin(pin) else { return false };
    let Ok(link) = SchedClassifierLink::try_from(FdLink::from(pinned)) else { return false };
    let Ok(id) = program.attach_to_link(link) else { return false };
    // The pin keeps the link; this handle would detach nothing when dropped, but aya need not hold it either.
    program.take_link(id).is_ok()
}

fn attach_and_pin(
    program: &mut SchedClassifier,
    name: &str,
    attach_type: TcAttachType,
    pin: &Path,
) -> anyhow::Result<()> {
    let id = program.attach_with_options(name, attach_type, TcAttachOptions::TcxOrder(LinkOrder::first()))?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    link.pin(pin).with_context(|| format!("pin the hook at {}", pin.display()))?;
    Ok(())
}

fn attach_clsact(ebpf: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    match tc::qdisc_add_clsact(name) {
        // Somebody's clsact is as good as ours; it is never removed by us, because it may be somebody's.
        Ok(()) | Err(TcError::AlreadyAttached) => {}
        Err(error) if is_there_already(&error) => {}
        Err(error) => return Err(error).with_context(|| format!("add the clsact qdisc to {name}")),
    }
    for (word, attach_type, program_name) in HOOKS {
        let program = program(ebpf, program_name)?;
        let own = SchedClassifierLink::attached(name, attach_type, PRIORITY, HANDLE, None)?;
        // Replaces the program of the filter from before; fails if there is none.
        let id = program.attach_to_link(own).or_else(|_| {
            let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
            program.attach_with_options(name, attach_type, TcAttachOptions::Netlink(options))
        });
        let link = id.and_then(|id| program.take_link(id));
        let link = link.with_context(|| format!("attach to {word} of {name} by clsact"))?;
        // Dropping the link would remove the filter, which is to outlive us.
        std::mem::forget(link);
    }
    Ok(())
}

fn is_there_already(error: &TcError) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::AlreadyExists)
        {
            return true;
        }
        source = error.source();
    }
    false
}
