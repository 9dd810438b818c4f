//! Hooks on ports: tcx where the kernel has it (6.6 and later), else clsact with a filter at a fixed place.
//!
//! A hook outlives the daemon: a tcx link is pinned, a clsact filter stays by itself and leaves a mark among the
//! pins. A daemon that finds its hook from before swaps the program in it, so not one packet goes by uncounted.

use super::{Kernel, PinDirectory, load::program, syscall::detach_link};
use anyhow::Context;
use aya::{
    Ebpf,
    programs::{
        LinkOrder, MultiProgLink, SchedClassifier, TcAttachType,
        links::{FdLink, PinnedLink},
        tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle},
    },
};
use gateway_common::map_name;
use nix::net::if_::if_indextoname;
use std::{collections::BTreeMap, fs, io, path::Path};

/// The filter's place in order: first.
const PRIORITY: u16 = 1;

/// The filter's handle: the same on every run, so that a daemon finds its own, and another one for another pin
/// directory, so that two daemons on one port do not take each other's.
fn handle_of(pins: &PinDirectory) -> TcHandle {
    TcHandle::new(0, 0x4000 | (pins.name_hash() as u16 & 0x3fff))
}

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

    /// Hooks a port, both ways. Taking over hooks from before counts as hooking. A port never has hooks of both
    /// kinds, which would count everything twice: it keeps the kind it has, unless tcx is off.
    ///
    /// # Errors
    /// When the kernel refuses both ways; the port is then not hooked at all.
    pub fn attach(&mut self, kernel: &mut Kernel, index: u32, name: &str) -> anyhow::Result<HookKind> {
        let Kernel { ebpf, pins, .. } = kernel;
        let kind = if self.is_tcx_off || pins.filter_mark(index).exists() {
            if remove_links(pins, index)? {
                tracing::warn!(
                    "{name} was hooked by tcx and is now hooked by clsact; what passed between the two was not counted"
                );
            }
            attach_clsact(ebpf, pins, index, name).map(|()| HookKind::Clsact)
        } else {
            match attach_tcx(ebpf, pins, index, name) {
                Ok(()) => Ok(HookKind::Tcx),
                Err(tcx) => attach_clsact(ebpf, pins, index, name)
                    .map(|()| HookKind::Clsact)
                    .with_context(|| format!("{tcx:#}; and by the older way")),
            }
        }
        .with_context(|| format!("hook {name}"))?;
        self.ports.insert(index, (name.to_owned(), kind));
        Ok(kind)
    }

    /// Is this port hooked, and are its hooks still where they were put? Others may have removed them.
    pub fn is_in_place(&self, kernel: &mut Kernel, index: u32) -> bool {
        let Some((_, kind)) = self.ports.get(&index) else { return false };
        let Ok(name) = if_indextoname(index) else { return false };
        let name = name.to_string_lossy();
        let Kernel { ebpf, pins, .. } = kernel;
        HOOKS.into_iter().all(|(_, attach_type, program_name)| {
            let Ok(program) = program(ebpf, program_name) else { return false };
            match kind {
                HookKind::Tcx => program.info().is_ok_and(|own| {
                    let attached = SchedClassifier::query_tcx(&name, attach_type);
                    attached.is_ok_and(|(_, programs)| programs.iter().any(|p| p.id() == own.id()))
                }),
                HookKind::Clsact => swap_filter(program, &name, attach_type, handle_of(pins)).is_ok(),
            }
        })
    }

    /// Unhooks a port, which may be gone already.
    ///
    /// # Errors
    /// When a pin cannot be removed.
    pub fn detach(&mut self, pins: &PinDirectory, index: u32) -> anyhow::Result<()> {
        self.ports.remove(&index);
        Self::detach_where(pins, |of| of == index)
    }

    /// Removes every hook that this pin directory knows of and that is on one of these interfaces, whoever made
    /// it. When this returns no packet is counted there any more but those that are in the program already.
    ///
    /// # Errors
    /// When the pins cannot be listed or removed.
    pub fn detach_where(pins: &PinDirectory, is_meant: impl Fn(u32) -> bool) -> anyhow::Result<()> {
        for (index, pin) in pins.links()?.into_iter().filter(|(index, _)| is_meant(*index)) {
            if pin.is_dir() {
                remove_filters(pins, index);
                fs::remove_dir(&pin)
            } else {
                remove_link(&pin)
            }
            .with_context(|| format!("remove the hook {}", pin.display()))?;
        }
        Ok(())
    }

    /// Unhooks every port.
    ///
    /// # Errors
    /// As for [`Attachments::detach_where`].
    pub fn detach_all(&mut self, pins: &PinDirectory) -> anyhow::Result<()> {
        self.ports.clear();
        Self::detach_where(pins, |_| true)
    }
}

/// Removes the tcx links of a port; were there any?
fn remove_links(pins: &PinDirectory, index: u32) -> anyhow::Result<bool> {
    let mut is_any = false;
    for (word, ..) in HOOKS {
        let pin = pins.link(index, word);
        match remove_link(&pin) {
            Ok(()) => is_any = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("remove the hook {}", pin.display()));
            }
        }
    }
    Ok(is_any)
}

/// Removes our filters from an interface. Where there are none, or no interface, that is what is wanted.
fn remove_filters(pins: &PinDirectory, index: u32) {
    let Ok(name) = if_indextoname(index) else { return };
    for (_, attach_type, _) in HOOKS {
        let handle = handle_of(pins);
        let own = SchedClassifierLink::attached(&name.to_string_lossy(), attach_type, PRIORITY, handle, None);
        // Dropping a link detaches it.
        drop(own);
    }
}

fn attach_tcx(ebpf: &mut Ebpf, pins: &PinDirectory, index: u32, name: &str) -> anyhow::Result<()> {
    for (word, attach_type, program_name) in HOOKS {
        let program = program(ebpf, program_name)?;
        let pin = pins.link(index, word);
        if take_over(program, &pin) {
            continue;
        }
        // Dead (its interface is gone) or missing.
        let _ = remove_link(&pin);
        if let Err(error) = attach_and_pin(program, name, attach_type, &pin) {
            // Half a port would count half the truth.
            remove_links(pins, index)?;
            return Err(error).with_context(|| format!("attach to {word} of {name} by tcx"));
        }
    }
    Ok(())
}

/// Takes a pinned link off its port and forgets it. Removing the pin alone would leave the program counting until
/// the kernel gets around to it, which may be after the last drain.
fn remove_link(pin: &Path) -> io::Result<()> {
    if let Ok(pinned) = PinnedLink::from_pin(pin)
        && let Ok(link) = SchedClassifierLink::try_from(FdLink::from(pinned))
        && let Ok(fd) = MultiProgLink::fd(&link)
    {
        // The link of an interface that is gone is off already.
        let _ = detach_link(fd);
    }
    fs::remove_file(pin)
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

fn attach_clsact(ebpf: &mut Ebpf, pins: &PinDirectory, index: u32, name: &str) -> anyhow::Result<()> {
    match tc::qdisc_add_clsact(name) {
        // Somebody's clsact is as good as ours; it is never removed by us, because it may be somebody's.
        Ok(()) | Err(TcError::AlreadyAttached) => {}
        Err(error) if is_there_already(&error) => {}
        Err(error) => return Err(error).with_context(|| format!("add the clsact qdisc to {name}")),
    }
    // The mark first: a filter without one would be nobody's.
    let mark = pins.filter_mark(index);
    if let Err(error) = fs::create_dir(&mark)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error).with_context(|| format!("make {}", mark.display()));
    }
    if let Err(error) = attach_filters(ebpf, pins, name) {
        // Half a port would count half the truth.
        remove_filters(pins, index);
        fs::remove_dir(&mark).with_context(|| format!("remove {}", mark.display()))?;
        return Err(error);
    }
    Ok(())
}

fn attach_filters(ebpf: &mut Ebpf, pins: &PinDirectory, name: &str) -> anyhow::Result<()> {
    let handle = handle_of(pins);
    for (word, attach_type, program_name) in HOOKS {
        let program = program(ebpf, program_name)?;
        swap_filter(program, name, attach_type, handle)
            .or_else(|_| {
                let options = NlOptions { priority: PRIORITY, handle, classid: None };
                let id = program.attach_with_options(name, attach_type, TcAttachOptions::Netlink(options))?;
                keep(program.take_link(id)?);
                Ok::<_, anyhow::Error>(())
            })
            .with_context(|| format!("attach to {word} of {name} by clsact"))?;
    }
    Ok(())
}

/// Replaces the program of our filter from before; fails if there is none.
fn swap_filter(
    program: &mut SchedClassifier,
    name: &str,
    attach_type: TcAttachType,
    handle: TcHandle,
) -> anyhow::Result<()> {
    let own = SchedClassifierLink::attached(name, attach_type, PRIORITY, handle, None)?;
    let id = program.attach_to_link(own)?;
    keep(program.take_link(id)?);
    Ok(())
}

/// A filter is to outlive us; dropping its link would remove it.
fn keep(link: SchedClassifierLink) {
    std::mem::forget(link);
}

fn is_there_already(error: &TcError) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::AlreadyExists) {
            return true;
        }
        source = error.source();
    }
    false
}
