//! What a restarted daemon is told: answers that may still vouch, and the conversations that were under way when the
//! one before it stopped in good order.

use super::append::origin_of;
use super::column::{
    addr_of, application_of, count, evidence_of, foreign, ipv4_of, mac_of, marks_of, table_id,
};
use super::ids::Ids;
use gateway_common::FlowKey;
use gateway_core::row::{Answer, EpochId, Memory, OpenConversation, Said, Told};
use gateway_core::units::{BootTime, ClockPair, DomainName};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use std::collections::BTreeMap;
use zerocopy::{FromBytes, IntoBytes};

/// What captures are called where kernels have a boot id. What was told in one is no memory of this gateway's.
pub(super) const REPLAYED: &str = "replay:%";

/// What the column `said_evidence` has besides the number of the evidence, which is below it: the conversation named
/// other hosts as well.
const NAMED_OTHERS: u8 = 16;

/// Is this a capture, and not a boot?
pub(super) fn is_replayed(boot_id: &str) -> bool {
    boot_id.starts_with(REPLAYED.trim_end_matches('%'))
}

/// Puts the conversations in the place of those of the last stop.
pub(super) fn keep(
    tx: &Transaction<'_>,
    ids: &mut Ids,
    of: &EpochId,
    conversations: &[OpenConversation],
) -> anyhow::Result<()> {
    forget_conversations(tx)?;
    let origin = origin_of(tx, of)?;
    let mut statement = tx.prepare_cached(
        "INSERT INTO conversation (key, origin, opened, said_name, said_evidence, said_is_outer, said_application, \
         said_boot_ns, told_name, told_marks, told_answer_secs, said_since_boot_ns, last_seen_boot_ns) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for OpenConversation { flow, opened, said, told, said_since, last_seen } in conversations {
        let said_at = said.as_ref().map(|said| count(said.at.0, "a time since boot")).transpose()?;
        let Told { name: told_name, marks, answer_secs } = told;
        statement.execute(params![
            flow.as_bytes(),
            origin,
            opened,
            ids.name(tx, said.as_ref().and_then(|said| said.name.as_ref()))?,
            said.as_ref().map_or(0, said_evidence),
            said.as_ref().is_some_and(|said| said.is_outer),
            said.as_ref().map_or(0, |said| said.application as u8),
            said_at,
            ids.name(tx, told_name.as_ref())?,
            marks.number(),
            answer_secs,
            count(said_since.0, "a time since boot")?,
            count(last_seen.0, "a time since boot")?,
        ])?;
    }
    Ok(())
}

fn said_evidence(said: &Said) -> u8 {
    said.evidence as u8 | if said.has_others { NAMED_OTHERS } else { 0 }
}

/// Another interval is stored: what was under way before it is no longer news. With a condition, because SQLite writes
/// a page to empty a table that is empty.
pub(super) fn forget_conversations(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM conversation WHERE 1")?.execute([])?;
    Ok(())
}

/// What may still matter at `now`, in times of this boot. Answers of an earlier boot come by the calendar, if that is
/// known now and was then; conversations are of these tables or not at all.
pub(super) fn recall(
    db: &Connection,
    boot_id: &str,
    table: u64,
    now: ClockPair,
    is_clock_set: bool,
) -> anyhow::Result<Memory> {
    let mut answers = answers_of_boot(db, boot_id, now)?;
    if is_clock_set {
        answers.extend(answers_of_calendar(db, boot_id, now)?);
    }
    let mut answers = latest(answers);
    answers.sort_by_key(|answer| answer.answered_at);
    let of = EpochId { boot_id: boot_id.to_owned(), table_id: table, epoch: 0 };
    Ok(Memory { answers, conversations: conversations(db, &of)? })
}

/// Of the rows of one answer that was repeated, the last written.
fn latest(rows: Vec<Answer>) -> Vec<Answer> {
    let mut places = BTreeMap::new();
    let mut answers = Vec::<Answer>::new();
    for row in rows {
        let key = (row.device, row.addr, row.asker_ipv4, row.answered_at, row.name.clone());
        let place = *places.entry(key).or_insert(answers.len());
        match answers.get_mut(place) {
            Some(known) => *known = row,
            None => answers.push(row),
        }
    }
    answers
}

const SELECT_ANSWER: &str = "SELECT d.mac, asker_ipv4, addr, n.text, chain, ttl_secs, ";
const FROM_ANSWER: &str = " FROM answer JOIN origin ON origin.id = answer.origin JOIN device d ON d.id = device \
                           JOIN name n ON n.id = name WHERE ";

fn answers_of_boot(db: &Connection, boot_id: &str, now: ClockPair) -> anyhow::Result<Vec<Answer>> {
    let sql = format!(
        "{SELECT_ANSWER} answered_boot_ns, vouches_boot_ns {FROM_ANSWER} boot_id = ? AND vouches_boot_ns >= ? \
         ORDER BY answer.id"
    );
    let read = |row: &Row<'_>| {
        let moment = |column| Ok::<_, rusqlite::Error>(BootTime(row.get::<_, i64>(column)?.cast_unsigned()));
        read_answer(row, moment(6)?, moment(7)?)
    };
    let mut statement = db.prepare_cached(&sql)?;
    let found = statement.query_map(params![boot_id, now.boot.0.cast_signed()], read)?;
    found.filter_map(Result::transpose).map(|answer| Ok(answer?)).collect()
}

fn answers_of_calendar(db: &Connection, boot_id: &str, now: ClockPair) -> anyhow::Result<Vec<Answer>> {
    // Nothing was told after now: a calendar that has gone back since tells nothing of what still vouches.
    let sql = format!(
        "{SELECT_ANSWER} answered_at, vouches_until {FROM_ANSWER} boot_id <> ?1 AND boot_id NOT LIKE ?2 \
         AND vouches_until >= ?3 AND answered_at <= ?3 ORDER BY answer.id"
    );
    let read = |row: &Row<'_>| {
        // Before this boot began there is no moment of it: then the answer is from its first one.
        let moment = |column| {
            let ahead = row.get::<_, i64>(column)?.saturating_sub(now.wall.0);
            Ok::<_, rusqlite::Error>(BootTime(now.boot.0.saturating_add_signed(ahead)))
        };
        read_answer(row, moment(6)?, moment(7)?)
    };
    let mut statement = db.prepare_cached(&sql)?;
    let found = statement.query_map(params![boot_id, REPLAYED, now.wall.0], read)?;
    found.filter_map(Result::transpose).map(|answer| Ok(answer?)).collect()
}

fn read_answer(
    row: &Row<'_>,
    answered_at: BootTime,
    vouches_until: BootTime,
) -> rusqlite::Result<Option<Answer>> {
    let Some(name) = DomainName::parse(row.get_ref(3)?.as_str()?) else { return Ok(None) };
    Ok(Some(Answer {
        device: mac_of(row.get_ref(0)?.as_blob()?)?,
        asker_ipv4: ipv4_of(row.get_ref(1)?.as_blob()?)?,
        addr: addr_of(row.get_ref(2)?.as_blob()?)?,
        name,
        chain: chain_of(row.get_ref(4)?.as_str()?),
        answered_at,
        vouches_until,
        ttl_secs: row.get(5)?,
    }))
}

/// The CNAMEs of the column `chain`.
pub(super) fn chain_of(text: &str) -> Vec<DomainName> {
    text.split(' ').filter_map(DomainName::parse).collect()
}

fn conversations(db: &Connection, of: &EpochId) -> anyhow::Result<Vec<OpenConversation>> {
    let origin: Option<i64> = db
        .prepare_cached("SELECT id FROM origin WHERE boot_id = ? AND table_id = ?")?
        .query_row(params![of.boot_id, table_id(of)], |row| row.get(0))
        .optional()?;
    let Some(origin) = origin else { return Ok(Vec::new()) };
    let mut statement = db.prepare_cached(
        "SELECT key, opened, s.text, said_evidence, said_is_outer, said_application, said_boot_ns, t.text, \
         told_marks, told_answer_secs, said_since_boot_ns, last_seen_boot_ns FROM conversation \
         JOIN name s ON s.id = said_name JOIN name t ON t.id = told_name WHERE origin = ? \
         ORDER BY last_seen_boot_ns, key",
    )?;
    let found = statement.query_map([origin], read_conversation)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn read_conversation(row: &Row<'_>) -> rusqlite::Result<OpenConversation> {
    let moment = |ns: i64| BootTime(ns.cast_unsigned());
    let flow = FlowKey::read_from_bytes(row.get_ref(0)?.as_blob()?)
        .map_err(|_| foreign("the key of a conversation that has not 32 bytes"))?;
    let said_evidence: u8 = row.get(3)?;
    let said = match row.get::<_, Option<i64>>(6)? {
        None => None,
        Some(at) => Some(Said {
            name: DomainName::parse(row.get_ref(2)?.as_str()?),
            evidence: evidence_of(said_evidence & !NAMED_OTHERS)?,
            is_outer: row.get(4)?,
            has_others: said_evidence & NAMED_OTHERS != 0,
            application: application_of(row.get(5)?)?,
            at: moment(at),
        }),
    };
    let told = Told {
        name: DomainName::parse(row.get_ref(7)?.as_str()?),
        marks: marks_of(row.get(8)?)?,
        answer_secs: row.get(9)?,
    };
    let (said_since, last_seen) = (moment(row.get(10)?), moment(row.get(11)?));
    Ok(OpenConversation { flow, opened: row.get(1)?, said, told, said_since, last_seen })
}
