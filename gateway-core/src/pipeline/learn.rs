//! A fact → the books that it concerns.

use super::Pipeline;
use crate::attribute::Attribution;
use crate::books::Verdict;
use crate::decode::{Stop, dns_message};
use crate::fact::{Asker, Fact};
use crate::recognise;
use crate::row::Said;
use gateway_common::FlowKey;

impl Pipeline {
    pub(super) fn count_stop(&mut self, learned: Result<(), Stop>) {
        if let Err(stop) = learned {
            let count = self.stops.entry(stop).or_default();
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn learn(&mut self, fact: Fact<'_>) -> Result<(), Stop> {
        match fact {
            Fact::NameAsked { flow, at, id, question } => self.questions.ask(flow, at, id, question),
            Fact::NameAnswered { flow, at, id, question, message } => {
                let verdict = self.questions.hear(flow, at, (id, &question), || message.answered());
                let Verdict::Believed(answered) = verdict else {
                    return Ok(()); // The book counts what is not believed.
                };
                let answered =
                    answered.ok_or_else(|| message.ended_early.map_or(Stop::Nameless, Stop::from))?;
                let asker = Asker::of(&flow);
                self.names.learn(asker, at, &answered);
                self.aliases.learn(asker.device, &answered);
            }
            Fact::DnsSegment(segment) => {
                for message in self.dns_streams.learn(&segment) {
                    let decoded = dns_message(segment.flow, segment.is_up, segment.at, &message);
                    let learned = decoded.and_then(|fact| fact.map_or(Ok(()), |fact| self.learn(fact)));
                    self.count_stop(learned);
                }
            }
            Fact::OpeningSegment { flow, at, seq, payload } => {
                let said = self.hellos.learn_segment(flow, at, seq, payload)?;
                return self.enter_said(flow, said);
            }
            Fact::QuicDatagram { flow, at, payload, segment_len } => {
                let segment_len = if segment_len == 0 { payload.len() } else { segment_len };
                let mut learned = Ok(());
                // Each teaches for itself: one that cannot be read takes nothing from those behind it.
                for datagram in payload.chunks(segment_len.max(1)) {
                    let said = self.quic.learn_datagram(flow, at, datagram);
                    learned = said.and_then(|said| self.enter_said(flow, said)).and(learned);
                }
                return learned;
            }
            Fact::Datagram { flow, at, payload } => {
                return self.enter_said(flow, recognise::datagram(payload, at));
            }
            Fact::DeviceSeen(fact) => self.devices.learn(&fact),
        }
        Ok(())
    }

    pub(super) fn enter_said(&mut self, flow: FlowKey, said: Option<Said>) -> Result<(), Stop> {
        let Some(said) = said else { return Ok(()) };
        let is_nameless = said.name.is_none();
        // At once: ports may be used again, and connections for another host, before the interval ends.
        if let Some(attributed) = self.attributed.as_mut().filter(|_| !is_nameless) {
            attributed.push((flow, Attribution::by_itself(&said)));
        }
        self.said.enter(flow, said);
        if is_nameless { Err(Stop::Nameless) } else { Ok(()) }
    }
}
