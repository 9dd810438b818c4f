//! What devices and resolvers send, in the sizes that are usual, each with a name of its own.

/// The name of a conversation.
pub fn name(n: u32) -> String {
    format!("edge-{n}.cdn{}.services.example", n % 17)
}

/// A name as the DNS writes it (RFC 1035 §3.1).
fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A question for an address, with EDNS (RFC 6891).
pub fn dns_question(n: u32) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    bytes.extend(labels(&name(n)));
    bytes.extend([0, 1, 0, 1]);
    bytes.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// Its answer: a CNAME and four addresses.
pub fn dns_answer(n: u32) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 0x81, 0x80, 0, 1, 0, 5, 0, 0, 0, 1];
    bytes.extend(labels(&name(n)));
    bytes.extend([0, 1, 0, 1]);
    let alias = labels(&format!("pool-{}.cdn.example", n % 211));
    bytes.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 1, 0x2c, 0]);
    bytes.push(alias.len() as u8);
    let alias_at = 0xc000 | bytes.len() as u16;
    bytes.extend(alias);
    let [_, _, high, low] = n.to_be_bytes();
    for last in 0..4 {
        bytes.extend(alias_at.to_be_bytes());
        bytes.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, last, high, low]);
    }
    bytes.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A ClientHello with some dozen extensions; 32 bytes of key share are the classic ones, 1216 the post-quantum ones.
pub fn hello(n: u32, share_len: usize) -> Vec<u8> {
    let name = name(n);
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, content: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend((content.len() as u16).to_be_bytes());
        extensions.extend(content);
    };
    extension(0x1a1a, &[]);
    extension(23, &[]);
    extension(10, &[0, 8, 0x11, 0xec, 0, 29, 0, 23, 0, 24]);
    extension(13, &[0, 16, 4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]);
    let group: u16 = if share_len > 32 { 0x11ec } else { 29 };
    let mut share = ((share_len + 4) as u16).to_be_bytes().to_vec();
    share.extend(group.to_be_bytes());
    share.extend((share_len as u16).to_be_bytes());
    share.resize(share.len() + share_len, 0xa7);
    extension(51, &share);
    extension(16, b"\x00\x0c\x02h2\x08http/1.1");
    extension(43, &[4, 3, 4, 3, 3]);
    extension(45, &[1, 1]);
    extension(27, &[2, 0, 2]);
    extension(5, &[1, 0, 0, 0, 0]);
    let len = name.len() as u16;
    extension(0, &[(len + 3).to_be_bytes().as_slice(), &[0], &len.to_be_bytes(), name.as_bytes()].concat());
    extension(0xfe0d, &[0x5c; 218]);
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]);
    body.push(32);
    body.extend([0x77; 32]);
    body.extend([0, 32]);
    body.extend([0x13; 32]);
    body.extend([1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let len = (body.len() as u32).to_be_bytes();
    [&[1], &len[1..], &body].concat()
}

/// A handshake message in one TLS record.
pub fn record(message: &[u8]) -> Vec<u8> {
    [&[22, 3, 1], (message.len() as u16).to_be_bytes().as_slice(), message].concat()
}

/// A request's head.
pub fn http_head(n: u32) -> Vec<u8> {
    let agent =
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36";
    format!(
        "GET /generate_204?from={n} HTTP/1.1\r\nUser-Agent: {agent}\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n\
         Accept-Language: en\r\nConnection: keep-alive\r\nHost: {}\r\n\r\n",
        name(n)
    )
    .into_bytes()
}

/// A request for a lease (RFC 2131), as Android sends it.
pub fn dhcp_request(mac: [u8; 6]) -> Vec<u8> {
    let mut bytes = vec![1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0];
    bytes.extend([0; 16]);
    bytes.extend(mac);
    bytes.extend([0; 10 + 192]);
    bytes.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 3, 50, 4, 192, 168, 1, 23]);
    bytes.extend(
        b"\x3c\x0fandroid-dhcp-13\x0c\x09Redmi-12C\x37\x0b\x01\x03\x06\x0f\x1a\x1c\x33\x3a\x3b\x2b\x72\xff",
    );
    bytes
}

/// What a device announces of itself (RFC 6762): its service and its address.
pub fn mdns_answer(n: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 0];
    bytes.extend(labels("_googlecast._tcp.local"));
    let instance = labels(&format!("TV-{}", n % 40));
    bytes.extend([0, 12, 0, 1, 0, 0, 0x11, 0x94, 0, (instance.len() + 1) as u8]);
    bytes.extend(&instance[..instance.len() - 1]);
    bytes.extend([0xc0, 12]);
    bytes.extend(labels(&format!("tv-{}.local", n % 40)));
    bytes.extend([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, 192, 168, 1, (n % 200) as u8]);
    bytes
}
