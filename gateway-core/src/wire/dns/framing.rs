//! DNS over TCP: a length of two bytes before each message (RFC 7766 §8).

use super::message;
use crate::wire::WireError;

/// The bytes of the length before a message.
const LENGTH_LEN: usize = 2;
/// The shortest message that asks: header, the root, type and class.
const MIN_MESSAGE_LEN: usize = 12 + 5;

/// Could a message begin here: a length, a header that such a message has, and a question? `None` while there are
/// too few bytes to tell. It takes much for other bytes to look like it: two of count, half of the flags and a name.
#[must_use]
pub fn begins_message(is_response: bool, bytes: &[u8]) -> Option<bool> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_LEN>()?;
    let len = usize::from(u16::from_be_bytes(*length));
    if len < MIN_MESSAGE_LEN {
        return Some(false);
    }
    let is_whole = rest.len() >= len;
    match message::read(rest.get(..len).unwrap_or(rest)) {
        Ok(message) => {
            Some(message.is_response == is_response && message.opcode == 0 && message.question.is_some())
        }
        Err(WireError::Truncated { .. }) if !is_whole => None,
        Err(_) => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::unhex;
    use super::super::samples::ANSWER;
    use super::*;

    #[test]
    fn a_message_is_told_from_its_middle() {
        let answer = unhex(ANSWER);
        let len = u16::try_from(answer.len()).expect("short").to_be_bytes();
        let framed = [&len[..], &answer].concat();
        let question_end = 2 + 12 + 28;
        for end in 0..framed.len() {
            let expected = (end >= question_end).then_some(true);
            assert_eq!(begins_message(true, &framed[..end]), expected, "{end}");
        }
        assert_eq!(begins_message(false, &framed), Some(false), "the wrong way");
        for start in 1..framed.len() - 1 {
            assert_ne!(begins_message(true, &framed[start..]), Some(true), "{start}");
        }
        assert_eq!(begins_message(true, &[0, 16]), Some(false), "too short");
        assert_eq!(
            begins_message(true, &[&[0, 17][..], &answer].concat()),
            Some(false),
            "shorter than its question"
        );
    }
}
