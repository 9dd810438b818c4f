//! Just enough of a writer of MMDB files (format 2.0) to make small ones.

pub(super) enum Value {
    Text(String),
    Bool(bool),
    U16(u16),
    U32(u32),
    U64(u64),
    Map(Vec<(&'static str, Value)>),
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn map(fields: Vec<(&'static str, Value)>) -> Value {
    Value::Map(fields)
}

fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) => {
            let len = u8::try_from(text.len()).unwrap();
            if len < 29 {
                out.push(2 << 5 | len)
            } else {
                out.extend([2 << 5 | 29, len - 29])
            }
            out.extend(text.bytes());
        }
        // A boolean has no bytes: its length is its value (type 14, written as the extended type 7).
        Value::Bool(value) => out.extend([u8::from(*value), 14 - 7]),
        Value::U16(n) => {
            out.push(5 << 5 | 2);
            out.extend(n.to_be_bytes());
        }
        Value::U32(n) => {
            out.push(6 << 5 | 4);
            out.extend(n.to_be_bytes());
        }
        Value::U64(n) => {
            out.extend([8, 9 - 7]);
            out.extend(n.to_be_bytes());
        }
        Value::Map(fields) => {
            out.push(7 << 5 | u8::try_from(fields.len()).unwrap());
            for (key, value) in fields {
                put(out, &Value::Text((*key).to_owned()));
                put(out, value);
            }
        }
    }
}

enum Node {
    Empty,
    Data(usize),
    Branch(usize),
}

/// An IPv6 file; `networks` are prefixes of the IPv6 tree as bits, IPv4 behind 96 zeroes.
pub(super) fn mmdb(kind: &str, epoch: u64, networks: &[(&str, Value)]) -> Vec<u8> {
    let mut nodes = vec![[Node::Empty, Node::Empty]];
    let mut data = Vec::new();
    for (prefix, value) in networks {
        let (addr, len) = prefix.split_once('/').unwrap();
        let (bits, len) = match addr.parse().unwrap() {
            std::net::IpAddr::V4(v4) => (u128::from(v4.to_bits()), len.parse::<u32>().unwrap() + 96),
            std::net::IpAddr::V6(v6) => (v6.to_bits(), len.parse().unwrap()),
        };
        let mut at = 0;
        for depth in 0..len {
            let side = (bits >> (127 - depth) & 1) as usize;
            if depth == len - 1 {
                nodes[at][side] = Node::Data(data.len());
            } else if let Node::Branch(next) = nodes[at][side] {
                at = next;
            } else {
                nodes.push([Node::Empty, Node::Empty]);
                let next = nodes.len() - 1;
                nodes[at][side] = Node::Branch(next);
                at = next;
            }
        }
        put(&mut data, value);
    }
    let mut out = Vec::new();
    for side in nodes.iter().flatten() {
        let record = match side {
            Node::Empty => nodes.len(),
            Node::Data(offset) => nodes.len() + 16 + offset,
            Node::Branch(node) => *node,
        };
        out.extend(u32::try_from(record).unwrap().to_be_bytes());
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = map(vec![
        ("binary_format_major_version", Value::U16(2)),
        ("binary_format_minor_version", Value::U16(0)),
        ("build_epoch", Value::U64(epoch)),
        ("database_type", text(kind)),
        ("description", map(vec![])),
        ("ip_version", Value::U16(6)),
        ("node_count", Value::U32(u32::try_from(nodes.len()).unwrap())),
        ("record_size", Value::U16(32)),
    ]);
    // `languages`, an empty array, needs a type that nothing else does.
    let mut bytes = Vec::new();
    put(&mut bytes, &metadata);
    bytes[0] += 1;
    put(&mut bytes, &text("languages"));
    bytes.extend([0, 11 - 7]);
    out.extend(bytes);
    out
}
