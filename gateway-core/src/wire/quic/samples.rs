//! Initials as a client makes them, for tests and the bench, which includes this file. It shares no code with what
//! reads them: constants stand here a second time, and keys are made another way, by HKDF's extract and expand.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use aes_gcm::{Aes128Gcm, aes::Aes128};
use hkdf::Hkdf;
use sha2::Sha256;

/// An Initial's header, and what its keys come from.
#[derive(Clone, Copy)]
pub struct Initial<'a> {
    /// Version.
    pub version: u32,
    /// The connection ID it is sent to.
    pub dcid: &'a [u8],
    /// The connection ID that the keys come from.
    pub keys_from: &'a [u8],
    /// Token, below 64 bytes.
    pub token: &'a [u8],
    /// Packet number.
    pub pn: u32,
    /// In how many bytes the number is sent.
    pub pn_len: usize,
}

impl<'a> Initial<'a> {
    /// The first Initial of a connection.
    pub fn to(dcid: &'a [u8]) -> Self {
        Self { version: 1, dcid, keys_from: dcid, token: &[], pn: 0, pn_len: 1 }
    }

    /// The packet with this payload, protected.
    pub fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let (salt, name, type_bits) = protection(self.version);
        let (_, common) = Hkdf::<Sha256>::extract(Some(&salt), self.keys_from);
        let secret = Hkdf::<Sha256>::from_prk(&expand(&common, "client in", 32)).expect("32 bytes");
        let key = |what: &str, len| expand(&secret, &format!("{name} {what}"), len);
        let mut packet = vec![0xc0 | type_bits << 4 | (self.pn_len as u8 - 1)];
        packet.extend(self.version.to_be_bytes());
        packet.push(self.dcid.len() as u8);
        packet.extend(self.dcid);
        packet.push(0);
        assert!(self.token.len() < 64, "a length in one byte");
        packet.push(self.token.len() as u8);
        packet.extend(self.token);
        packet.extend((0x4000 | (self.pn_len + payload.len() + 16) as u16).to_be_bytes());
        let pn_offset = packet.len();
        packet.extend(&self.pn.to_be_bytes()[4 - self.pn_len..]);
        let mut nonce = key("iv", 12);
        for (byte, pn) in nonce[8..].iter_mut().zip(self.pn.to_be_bytes()) {
            *byte ^= pn;
        }
        let mut sealed = payload.to_vec();
        let cipher = Aes128Gcm::new_from_slice(&key("key", 16)).expect("16 bytes");
        let nonce: [u8; 12] = nonce.try_into().expect("12 bytes");
        let tag = cipher
            .encrypt_inout_detached(&nonce.into(), &packet, sealed.as_mut_slice().into())
            .expect("short");
        packet.extend(sealed);
        packet.extend(tag);
        let sample: [u8; 16] = packet[pn_offset + 4..pn_offset + 20].try_into().expect("16 bytes");
        let mut mask = sample.into();
        Aes128::new_from_slice(&key("hp", 16)).expect("16 bytes").encrypt_block(&mut mask);
        packet[0] ^= mask[0] & 0x0f;
        for n in 0..self.pn_len {
            packet[pn_offset + n] ^= mask[1 + n];
        }
        packet
    }
}

/// Salt, first word of the labels and type bits of a version.
fn protection(version: u32) -> ([u8; 20], &'static str, u8) {
    let salt: u128;
    let end: u32;
    (salt, end) = match version {
        0xff00_0016 | 0xface_b001 => (0x7fbc_db0e_7c66_bbe9_193a_96cd_2151_9ebd, 0x7a02_644a),
        0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => {
            (0xc3ee_f712_c72e_bb5a_11a7_d243_2bb4_6365, 0xbef9_f502)
        }
        0xff00_001d..=0xff00_0020 => (0xafbf_ec28_9993_d24c_9e97_86f1_9c61_11e0, 0x4390_a899),
        0x6b33_43cf => (0x0ded_e3de_f700_a6db_8193_81be_6e26_9dcb, 0xf9bd_2ed9),
        _ => (0x3876_2cf7_f559_34b3_4d17_9ae6_a4c8_0cad, 0xccbb_7f0a),
    };
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(&salt.to_be_bytes());
    bytes[16..].copy_from_slice(&end.to_be_bytes());
    if version == 0x6b33_43cf { (bytes, "quicv2", 1) } else { (bytes, "quic", 0) }
}

fn expand(secret: &Hkdf<Sha256>, label: &str, len: usize) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let mut info = vec![0, len as u8, label.len() as u8];
    info.extend(label.as_bytes());
    info.push(0);
    let mut output = vec![0; len];
    secret.expand(&info, &mut output).expect("short");
    output
}

/// A number of variable length, in four bytes.
fn number(value: u64) -> [u8; 4] {
    (0x8000_0000 | u32::try_from(value).expect("below 2^30")).to_be_bytes()
}

/// A CRYPTO frame.
pub fn crypto(offset: u64, data: &[u8]) -> Vec<u8> {
    [&[6], number(offset).as_slice(), &number(data.len() as u64), data].concat()
}
