//! Names in other scripts as the DNS carries them (RFC 3492). Only the way there: nothing here reads punycode.

const BASE: u32 = 36;
const MIN_THRESHOLD: u32 = 1;
const MAX_THRESHOLD: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_CODE: u32 = 128;

/// A label in lower case and ASCII; `None` where that is not possible.
pub fn label(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    if text.is_ascii() {
        return Some(text);
    }
    let codes: Vec<u32> = text.chars().map(u32::from).collect();
    let mut out: String = text.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let (mut code, mut delta, mut bias, mut done) = (INITIAL_CODE, 0_u32, INITIAL_BIAS, basic);
    while usize::try_from(done).ok()? < codes.len() {
        let next = codes.iter().copied().filter(|&c| c >= code).min()?;
        delta = delta.checked_add((next - code).checked_mul(done + 1)?)?;
        code = next;
        for &c in &codes {
            if c < code {
                delta = delta.checked_add(1)?;
            }
            if c == code {
                put(&mut out, delta, bias);
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done += 1;
            }
        }
        delta = delta.checked_add(1)?;
        code += 1;
    }
    Some(format!("xn--{out}"))
}

/// A number of variable length (RFC 3492 §3.3).
fn put(out: &mut String, mut number: u32, bias: u32) {
    let mut position = BASE;
    loop {
        let threshold = position.saturating_sub(bias).clamp(MIN_THRESHOLD, MAX_THRESHOLD);
        if number < threshold {
            out.push(digit(number));
            return;
        }
        out.push(digit(threshold + (number - threshold) % (BASE - threshold)));
        number = (number - threshold) / (BASE - threshold);
        position += BASE;
    }
}

/// `a` to `z`, then `0` to `9` (RFC 3492 §5). A digit is always below 36.
fn digit(value: u32) -> char {
    match value {
        0..26 => char::from(b'a' + value as u8),
        _ => char::from_digit(value - 26, 10).unwrap_or('9'),
    }
}

/// RFC 3492 §6.1.
fn adapt(delta: u32, points: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta += delta / points;
    let mut steps = 0;
    while delta > (BASE - MIN_THRESHOLD) * MAX_THRESHOLD / 2 {
        delta /= BASE - MIN_THRESHOLD;
        steps += BASE;
    }
    steps + (BASE - MIN_THRESHOLD + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_dns_has() {
        for (text, expected) in [
            ("COM", "com"),
            ("рф", "xn--p1ai"),
            ("公司", "xn--55qx5d"),
            ("中国", "xn--fiqs8s"),
            ("bücher", "xn--bcher-kva"),
            ("العليان", "xn--mgba7c0bbn0a"),
            ("இலங்கை", "xn--xkc2al3hye2a"),
            ("häkkinen", "xn--hkkinen-5wa"),
            ("günstigbestellen", "xn--gnstigbestellen-zvb"),
        ] {
            assert_eq!(label(text).as_deref(), Some(expected), "{text}");
        }
        // The first of the samples of RFC 3492 §7.1.
        let arabic = "ليهمابتكلموشعربي؟";
        assert_eq!(label(arabic).as_deref(), Some("xn--egbpdaj6bu4bxfgehfvwxn"));
    }
}
