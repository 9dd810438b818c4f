//! MMDB files → ascending ranges. Knows the field names of the files, nothing of what the table keeps.

use anyhow::{Context, bail, ensure};
use gateway_core::enrich::envelope::TableDate;
use maxminddb::{PathElement, Reader, WithinOptions};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// Keys `first..=last` have this value. Lists of them ascend and do not overlap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range<K> {
    /// First key.
    pub first: K,
    /// Last key.
    pub last: K,
    /// Index into the list of values.
    pub value: u32,
}

/// All that one file says of one question.
pub struct Ranges<T> {
    /// The values, in the order they were met.
    pub values: Vec<T>,
    /// By IPv4 address.
    pub v4: Vec<Range<u32>>,
    /// By the upper half of the IPv6 address.
    pub v6: Vec<Range<u64>>,
    /// When the file was built.
    pub built_on: TableDate,
}

/// An MMDB file, unpacked by `xz` where its name says so.
pub fn open(path: &Path) -> anyhow::Result<Reader<Vec<u8>>> {
    let bytes = if path.extension().is_some_and(|e| e == "xz") {
        let output = Command::new("xz")
            .arg("--decompress")
            .arg("--stdout")
            .arg(path)
            .stderr(Stdio::inherit())
            .output()
            .context("start xz, which unpacks .xz files (install xz-utils)")?;
        ensure!(output.status.success(), "unpack {}: xz failed", path.display());
        output.stdout
    } else {
        std::fs::read(path).with_context(|| format!("read {}", path.display()))?
    };
    Reader::from_source(bytes).with_context(|| format!("understand {} as an MMDB file", path.display()))
}

/// Autonomous system numbers and organisations.
pub fn systems(reader: &Reader<Vec<u8>>) -> anyhow::Result<Ranges<(u32, String)>> {
    ranges(reader, |found| {
        let number = found.decode_path::<u32>(&[PathElement::Key("autonomous_system_number")])?;
        let organisation =
            found.decode_path::<String>(&[PathElement::Key("autonomous_system_organization")])?;
        Ok(number.map(|number| (number, organisation.unwrap_or_default())))
    })
}

/// Country codes, as DB-IP and MaxMind have them or as IPtoASN has.
pub fn countries(reader: &Reader<Vec<u8>>) -> anyhow::Result<Ranges<String>> {
    ranges(reader, |found| {
        let code =
            found.decode_path::<String>(&[PathElement::Key("country"), PathElement::Key("iso_code")])?;
        if code.is_some() { Ok(code) } else { found.decode_path(&[PathElement::Key("country_code")]) }
    })
}

/// Country codes of IPv4 addresses, from lines of `FIRST,LAST,CODE` that ascend.
pub fn countries_csv(path: &Path) -> anyhow::Result<Ranges<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let (mut values, mut v4) = (Vec::<String>::new(), Vec::<Range<u32>>::new());
    for (at, line) in text.lines().enumerate() {
        let range = (|| {
            let (first, rest) = line.split_once(',')?;
            let (last, code) = rest.split_once(',')?;
            let addr = |text: &str| text.parse::<std::net::Ipv4Addr>().ok().map(std::net::Ipv4Addr::to_bits);
            let place = values.iter().position(|known| known == code).unwrap_or_else(|| {
                values.push(code.to_owned());
                values.len() - 1
            });
            let range = Range { first: addr(first)?, last: addr(last)?, value: u32::try_from(place).ok()? };
            let is_behind = v4.last().is_none_or(|before| before.last < range.first);
            (is_behind && range.first <= range.last).then_some(range)
        })();
        v4.push(range.with_context(|| format!("understand line {} of {}", at + 1, path.display()))?);
    }
    Ok(Ranges { values, v4, v6: Vec::new(), built_on: TableDate::default() })
}

type Found<'a> = maxminddb::LookupResult<'a, Vec<u8>>;

fn ranges<T: Clone + Eq + std::hash::Hash>(
    reader: &Reader<Vec<u8>>,
    decode: impl Fn(&Found<'_>) -> Result<Option<T>, maxminddb::MaxMindDbError>,
) -> anyhow::Result<Ranges<T>> {
    let metadata = reader.metadata();
    let days = u32::try_from(metadata.build_epoch / 86_400).context("read the file's build date")?;
    let mut values = Values { list: Vec::new(), by_value: HashMap::new(), by_offset: HashMap::new() };
    let mut v4 = Vec::new();
    for network in reader.within("0.0.0.0/0".parse()?, WithinOptions::default())? {
        let network = network?;
        let Some(value) = values.index_of(&network, &decode)? else { continue };
        let network = network.network()?;
        let IpAddr::V4(addr) = network.ip() else { bail!("an IPv6 network among the IPv4 ones") };
        let first = addr.to_bits();
        let last = first | u32::MAX.checked_shr(network.prefix().into()).unwrap_or(0);
        v4.push(Range { first, last, value });
    }
    let mut v6 = Vec::new();
    let mut finer = Finer { key: 0, covered: 0, value: None };
    if metadata.ip_version == 6 {
        for network in reader.within("::/0".parse()?, WithinOptions::default())? {
            let network = network?;
            let Some(value) = values.index_of(&network, &decode)? else { continue };
            let network = network.network()?;
            // The IPv4 half of the file, met again from above.
            let IpAddr::V6(addr) = network.ip() else { continue };
            let first = (addr.to_bits() >> 64) as u64;
            if network.prefix() > 64 {
                v6.extend(finer.add(first, network.prefix(), value));
                continue;
            }
            let last = first | u64::MAX.checked_shr(network.prefix().into()).unwrap_or(0);
            v6.push(Range { first, last, value });
        }
    }
    Ok(Ranges { values: values.list, v4, v6, built_on: TableDate(days) })
}

/// Values met so far. Networks share records, so most are found by their offset and never decoded again.
struct Values<T> {
    list: Vec<T>,
    by_value: HashMap<T, u32>,
    by_offset: HashMap<usize, Option<u32>>,
}

impl<T: Clone + Eq + std::hash::Hash> Values<T> {
    fn index_of(
        &mut self,
        found: &Found<'_>,
        decode: impl Fn(&Found<'_>) -> Result<Option<T>, maxminddb::MaxMindDbError>,
    ) -> anyhow::Result<Option<u32>> {
        let Some(offset) = found.offset() else { return Ok(None) };
        if let Some(&index) = self.by_offset.get(&offset) {
            return Ok(index);
        }
        let index = match decode(found)? {
            None => None,
            Some(value) => match self.by_value.get(&value) {
                Some(&index) => Some(index),
                None => {
                    let index = u32::try_from(self.list.len())?;
                    self.list.push(value.clone());
                    self.by_value.insert(value, index);
                    Some(index)
                }
            },
        };
        self.by_offset.insert(offset, index);
        Ok(index)
    }
}

/// Networks finer than a /64: the table's key ends there, so a /64 gets a value only where all of it agrees.
struct Finer {
    key: u64,
    /// How much of the /64 has been met, in units of one address; 2^64 is all of it.
    covered: u128,
    value: Option<u32>,
}

impl Finer {
    fn add(&mut self, key: u64, prefix: u8, value: u32) -> Option<Range<u64>> {
        if self.covered == 0 || self.key != key {
            *self = Self { key, covered: 0, value: Some(value) };
        }
        if self.value != Some(value) {
            self.value = None;
        }
        self.covered += 1 << (128 - u32::from(prefix));
        let value = self.value.filter(|_| self.covered == 1 << 64)?;
        Some(Range { first: key, last: key, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_64_counts_only_where_all_of_it_agrees() {
        let mut finer = Finer { key: 0, covered: 0, value: None };
        // Two halves that agree.
        assert_eq!(finer.add(7, 65, 1), None);
        assert_eq!(finer.add(7, 65, 1), Some(Range { first: 7, last: 7, value: 1 }));
        // Halves that do not.
        assert_eq!(finer.add(8, 65, 1), None);
        assert_eq!(finer.add(8, 65, 2), None);
        // Only three quarters.
        assert_eq!(finer.add(9, 65, 1), None);
        assert_eq!(finer.add(9, 66, 1), None);
        assert_eq!(finer.add(10, 65, 1), None);
        assert_eq!(finer.add(10, 65, 1), Some(Range { first: 10, last: 10, value: 1 }));
    }
}
