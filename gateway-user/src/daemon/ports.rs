//! The daemon and its ports: hooking them, following them as they come and go, and looking at every drain whether
//! each hook is still where it was put.

use super::Daemon;
use crate::{kernel::Attachments, links::Discovery};
use std::collections::BTreeSet;

impl Daemon {
    /// The first hooking: also lets go of ports that an earlier daemon had and this one is not to have.
    pub(super) fn hook_ports(&mut self) -> anyhow::Result<()> {
        let discovery = self.ports.borrow_and_update().clone();
        let wanted: BTreeSet<u32> = discovery.ports.iter().map(|p| p.index).collect();
        Attachments::detach_where(&self.kernel.pins, |index| !wanted.contains(&index))?;
        self.keep_house(&discovery);
        self.kernel.tables.set_gateway_macs(&discovery.gateway_macs())?;
        let mut failure = None;
        for port in &discovery.ports {
            if let Err(error) = self.attachments.attach(&mut self.kernel, port.index, &port.name) {
                tracing::warn!("{error:#}");
                failure = Some(error);
            }
        }
        match failure {
            Some(error) if self.attachments.ports().next().is_none() => Err(error),
            _ => Ok(()),
        }
    }

    /// Hooks what came, lets go of what went.
    pub(super) fn follow_ports(&mut self) {
        let discovery = self.ports.borrow_and_update().clone();
        self.keep_house(&discovery);
        if let Err(error) = self.kernel.tables.set_gateway_macs(&discovery.gateway_macs()) {
            tracing::error!("{error:#}; the addresses from before stay in force");
        }
        let wanted: BTreeSet<u32> = discovery.ports.iter().map(|p| p.index).collect();
        let gone: Vec<(u32, String)> = self
            .attachments
            .ports()
            .filter(|(index, ..)| !wanted.contains(index))
            .map(|(index, name, _)| (index, name.to_owned()))
            .collect();
        for (index, name) in gone {
            match self.attachments.detach(&self.kernel.pins, index) {
                Ok(()) => tracing::info!("{name} is no longer a LAN port"),
                Err(error) => tracing::warn!("{name} is no longer a LAN port, but: {error:#}"),
            }
        }
        for port in
            discovery.ports.iter().filter(|p| !self.attachments.has(p.index)).cloned().collect::<Vec<_>>()
        {
            match self.attachments.attach(&mut self.kernel, port.index, &port.name) {
                Ok(kind) => tracing::info!("counting on {} too ({}; {})", port.name, kind.word(), port.why),
                Err(error) => tracing::warn!("{error:#}"),
            }
        }
    }

    pub(super) fn say_ready(&self) {
        let ports: Vec<String> =
            self.attachments.ports().map(|(_, name, kind)| format!("{name} ({})", kind.word())).collect();
        let (every, database) = (self.config.drain_every_secs, self.config.database.display());
        if ports.is_empty() {
            let passed_over: Vec<String> =
                self.ports.borrow().passed_over.iter().map(|(name, why)| format!("{name}: {why}")).collect();
            tracing::warn!(
                "counting on nothing yet: no LAN interface was found ({}); waiting for one to come up",
                if passed_over.is_empty() { "there is none".to_owned() } else { passed_over.join("; ") }
            );
        } else {
            tracing::info!("counting on {}; draining every {every} s into {database}", ports.join(", "));
        }
    }

    /// Hooks again whatever is not hooked any more (another program removed the qdisc, say) or could not be hooked
    /// before, and notes in the ledger of the interval that ends now that not every port was counted on throughout.
    pub(super) fn look_after_hooks(&mut self) {
        let wanted = self.ports.borrow().ports.clone();
        let mut missing = 0;
        for port in &wanted {
            if self.attachments.is_in_place(&mut self.kernel, port.index) {
                continue;
            }
            missing += 1;
            match self.attachments.attach(&mut self.kernel, port.index, &port.name) {
                Ok(kind) => tracing::warn!(
                    "the hook on {} was gone; it is back ({}). What passed meanwhile was not counted",
                    port.name,
                    kind.word()
                ),
                // Said when it was tried first.
                Err(error) => tracing::debug!("{error:#}"),
            }
        }
        self.drainer.note("unhooked_ports", missing);
        self.drainer.note("no_ports", u64::from(wanted.is_empty()));
    }

    /// What the gateway itself holds is in the house, be its addresses public or not.
    fn keep_house(&mut self, discovery: &Discovery) {
        let mut local = self.config.local_networks.clone();
        local.extend(&discovery.own_prefixes);
        self.drainer.pipeline.set_local(local);
    }
}
