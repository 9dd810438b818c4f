//! What devices call themselves: names that makers give them at the factory. A hostname is untrusted text that its
//! owner can change, so that it never makes a verdict alone.

use super::DeviceKind::{
    Camera, Computer, GameConsole, Iot, Phone, Printer, Router, Speaker, Tablet, Tv, Watch,
};
use super::{DeviceKind, Hint, Sign};

const FACTORY: &str =
    "the name that such devices have from the factory, as seen in captures and lists of leases";
const WINDOWS_SETUP: &str = "Windows Setup names computers so (Microsoft, ComputerName in unattend.xml)";
const ANDROID_NAME: &str = "Android before 10 calls itself \"android-\" and its ANDROID_ID (Android Open Source Project, net.hostname)";
const SAMSUNG_CODE: &str = "Samsung's model codes: SM- and a letter for the line";

/// A word of the name, and what a device with it is.
struct WordRule {
    word: &'static str,
    /// Must the word be the whole name's beginning?
    is_first: bool,
    fits: &'static [DeviceKind],
    makes: &'static [&'static str],
    model: Option<&'static str>,
}

const fn word(
    word: &'static str,
    fits: &'static [DeviceKind],
    makes: &'static [&'static str],
    model: Option<&'static str>,
) -> WordRule {
    WordRule { word, is_first: false, fits, makes, model }
}

const fn first(word: &'static str, fits: &'static [DeviceKind], makes: &'static [&'static str]) -> WordRule {
    WordRule { word, is_first: true, fits, makes, model: None }
}

/// Words between separators, in small letters; or what the name begins with. The first that is there counts.
const WORDS: &[WordRule] = &[
    word("iphone", &[Phone], &["Apple"], Some("iPhone")),
    word("ipad", &[Tablet], &["Apple"], Some("iPad")),
    word("macbook", &[Computer], &["Apple"], Some("MacBook")),
    word("macbookpro", &[Computer], &["Apple"], Some("MacBook Pro")),
    word("macbookair", &[Computer], &["Apple"], Some("MacBook Air")),
    word("vivobook", &[Computer], &["ASUS"], Some("Vivobook")),
    word("zenbook", &[Computer], &["ASUS"], Some("Zenbook")),
    word("imac", &[Computer], &["Apple"], Some("iMac")),
    word("macmini", &[Computer], &["Apple"], Some("Mac mini")),
    word("homepod", &[Speaker], &["Apple"], Some("HomePod")),
    first("apple-tv", &[Tv], &["Apple"]),
    first("apple-watch", &[Watch], &["Apple"]),
    word("chromecast", &[Tv], &["Google"], Some("Chromecast")),
    word("bravia", &[Tv], &["Sony"], Some("BRAVIA")),
    first("lgwebostv", &[Tv], &["LG"]),
    first("lgsmarttv", &[Tv], &["LG"]),
    first("samsung-tv", &[Tv], &["Samsung"]),
    first("mitv", &[Tv], &["Xiaomi"]),
    first("mi-tv", &[Tv], &["Xiaomi"]),
    first("roku", &[Tv], &["Roku"]),
    first("firetv", &[Tv], &["Amazon"]),
    first("kindle-", &[Tablet], &["Amazon"]),
    first("amazon-", &[Speaker, Tv, Tablet, Camera, Iot], &["Amazon"]),
    first("sonos", &[Speaker], &["Sonos"]),
    first("ps4-", &[GameConsole], &["Sony"]),
    first("ps5-", &[GameConsole], &["Sony"]),
    first("xboxone", &[GameConsole], &["Microsoft"]),
    first("xbox-", &[GameConsole], &["Microsoft"]),
    first("steamdeck", &[GameConsole], &["Valve"]),
    first("raspberrypi", &[Computer, Iot], &["Raspberry Pi"]),
    first("epson", &[Printer], &["Epson"]),
    first("brn", &[Printer], &["Brother"]),
    first("brw", &[Printer], &["Brother"]),
    first("npi", &[Printer], &["HP"]),
    first("canon", &[Printer, Camera], &["Canon"]),
    first("openwrt", &[Router], &[]),
    first("mikrotik", &[Router], &["MikroTik"]),
    first("fritz.repeater", &[Router], &["AVM"]),
    first("fritz-repeater", &[Router], &["AVM"]),
    first("esp_", &[Iot], &[]),
    first("esp-", &[Iot], &[]),
    first("shelly", &[Iot], &["Shelly"]),
    first("tasmota", &[Iot], &[]),
    first("roborock", &[Iot], &["Roborock"]),
    first("yeelink-", &[Iot], &["Yeelight"]),
    first("chuangmi-camera", &[Camera], &["Xiaomi"]),
    first("chuangmi_camera", &[Camera], &["Xiaomi"]),
    first("philips-hue", &[Iot], &["Signify"]),
    first("ring-", &[Camera, Iot], &["Ring"]),
];

/// Names of printers that end in their MAC address: `BRW` and the like is too short to go by alone.
const WITH_ADDRESS: [&str; 3] = ["brn", "brw", "npi"];

/// A family of models: what the name says before the model, and how the family is printed.
struct Family {
    word: &'static str,
    printed: &'static str,
    make: &'static str,
    /// Must the next word have a digit? For families whose name is a word of everyday.
    wants_number: bool,
}

const fn family(word: &'static str, printed: &'static str, make: &'static str, wants_number: bool) -> Family {
    Family { word, printed, make, wants_number }
}

const FAMILIES: [Family; 24] = [
    family("redmi", "Redmi", "Xiaomi", false),
    family("poco", "POCO", "Xiaomi", false),
    family("xiaomi", "Xiaomi", "Xiaomi", false),
    family("mi", "Mi", "Xiaomi", true),
    family("galaxy", "Galaxy", "Samsung", false),
    family("pixel", "Pixel", "Google", false),
    family("nexus", "Nexus", "Google", true),
    family("huawei", "Huawei", "Huawei", false),
    family("mate", "Mate", "Huawei", true),
    family("honor", "Honor", "Honor", false),
    family("oneplus", "OnePlus", "OnePlus", false),
    family("oppo", "OPPO", "OPPO", false),
    family("realme", "realme", "realme", false),
    family("vivo", "vivo", "vivo", false),
    family("moto", "moto", "Motorola", false),
    family("motorola", "motorola", "Motorola", false),
    family("nokia", "Nokia", "HMD Global", true),
    family("infinix", "Infinix", "Infinix", false),
    family("tecno", "TECNO", "TECNO", false),
    family("itel", "itel", "itel", false),
    family("xperia", "Xperia", "Sony", false),
    family("fairphone", "Fairphone", "Fairphone", false),
    family("zenfone", "Zenfone", "ASUS", false),
    family("nubia", "nubia", "nubia", false),
];

/// Words that are a part of a model without having a digit.
const MODEL_WORDS: [&str; 40] = [
    "note", "tab", "ultra", "plus", "pro", "max", "mini", "lite", "fe", "fold", "flip", "z", "se", "prime",
    "watch", "book", "pad", "air", "edge", "power", "play", "reno", "find", "nord", "mix", "mate", "nova",
    "smart", "hot", "spark", "xl", "nfc", "gt", "neo", "active", "classic", "speed", "g", "e", "tablet",
];

/// Words that make another device of a family than a phone.
const OTHER_KINDS: [(&str, DeviceKind); 9] = [
    ("tab", Tablet),
    ("pad", Tablet),
    ("tablet", Tablet),
    ("matepad", Tablet),
    ("watch", Watch),
    ("band", Watch),
    ("book", Computer),
    ("matebook", Computer),
    ("tv", Tv),
];

/// The longest model that is printed, in words behind the family's.
const MAX_MODEL_WORDS: usize = 3;
/// The longest word of a model.
const MAX_MODEL_WORD: usize = 10;
/// What it is worth: much, and not enough to be alone.
const WEIGHT: u32 = 3;

pub(super) fn hostname(text: &str) -> Option<Hint> {
    let lower = text.to_ascii_lowercase();
    by_word(&lower)
        .or_else(|| by_code(&lower))
        .or_else(|| by_family(text))
        .or_else(|| by_pattern(text, &lower))
        .map(|hint| Hint { says: format!("it calls itself {text:?}: {}", hint.says), ..hint })
}

fn hint(
    fits: &'static [DeviceKind],
    makes: &'static [&'static str],
    says: String,
    source: &'static str,
) -> Hint {
    Hint { sign: Sign::Hostname, fits, weight: WEIGHT, makes, model: None, says, source }
}

fn by_word(lower: &str) -> Option<Hint> {
    let has = |rule: &&WordRule| {
        if rule.is_first {
            let rest = lower.strip_prefix(rule.word);
            let wants_address = WITH_ADDRESS.contains(&rule.word);
            rest.is_some_and(|rest| !wants_address || is_hex(rest, 6..=12))
        } else {
            // "Lenas-iPhone", "iPhone-von-Lena", "MacBook-Pro", "Lenas-MBP" not.
            lower.split(is_separator).any(|part| part == rule.word)
        }
    };
    let rule = WORDS.iter().find(has)?;
    let whose = rule.makes.first().map_or(String::new(), |make| format!(" of {make}"));
    let kind = rule.fits.first()?.words();
    let hint = hint(rule.fits, rule.makes, format!("a {kind}{whose}"), FACTORY);
    Some(Hint { model: rule.model.map(str::to_owned), ..hint })
}

/// Samsung's model codes, such as SM-G991B.
fn by_code(lower: &str) -> Option<Hint> {
    let code = lower.split("sm-").nth(1)?.split(is_separator).next()?;
    let mut letters = code.chars();
    let line = letters.next()?;
    let fits: &'static [DeviceKind] = match line {
        'a' | 'f' | 'g' | 'j' | 'm' | 'n' | 's' => &[Phone],
        'p' | 't' | 'x' => &[Tablet],
        'r' | 'l' => &[Watch],
        _ => return None,
    };
    let is_code = letters.as_str().chars().take(3).filter(char::is_ascii_digit).count() == 3;
    let is_short = code.len() <= MAX_MODEL_WORD && code.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_code || !is_short {
        return None;
    }
    let kind = fits.first()?.words();
    let hint = hint(fits, &["Samsung"], format!("a {kind} of Samsung"), SAMSUNG_CODE);
    Some(Hint { model: Some(format!("SM-{}", code.to_ascii_uppercase())), ..hint })
}

/// Families of models: `Redmi-Note-8-Pro`, `RedmiNote8-Redmi`, `Galaxy-Tab-S6`.
fn by_family(text: &str) -> Option<Hint> {
    let words = words_of(text);
    let place_of = |family: &Family| {
        let place = words.iter().position(|word| word.eq_ignore_ascii_case(family.word))?;
        let next = words.get(place + 1).map_or("", String::as_str);
        let is_number = next.starts_with(|c: char| c.is_ascii_digit());
        (is_number || !family.wants_number).then_some(place)
    };
    let (family, place) = FAMILIES.iter().find_map(|family| place_of(family).map(|place| (family, place)))?;
    let rest = words.get(place + 1..).unwrap_or_default();
    let is_model = |word: &&String| {
        let is_known = MODEL_WORDS.contains(&word.to_ascii_lowercase().as_str())
            || OTHER_KINDS.iter().any(|(other, _)| word.eq_ignore_ascii_case(other));
        word.len() <= MAX_MODEL_WORD
            && word.chars().all(|c| c.is_ascii_alphanumeric())
            && (is_known || word.chars().any(|c| c.is_ascii_digit()))
    };
    let model: Vec<&str> =
        rest.iter().take_while(is_model).take(MAX_MODEL_WORDS).map(String::as_str).collect();
    let other = model
        .iter()
        .find_map(|word| OTHER_KINDS.iter().find(|(other, _)| word.eq_ignore_ascii_case(other)))
        .map(|(_, kind)| *kind);
    let fits: &'static [DeviceKind] = match other {
        Some(Tablet) => &[Tablet],
        Some(Watch) => &[Watch],
        Some(Computer) => &[Computer],
        Some(Tv) => &[Tv],
        _ if model.is_empty() => &[Phone, Tablet, Watch, Tv, Computer],
        _ => &[Phone],
    };
    let makes = make_list(family.make);
    let kind = fits.first()?.words();
    let hint = hint(fits, makes, format!("a {kind} of {}", family.make), FACTORY);
    let model = (!model.is_empty()).then(|| format!("{} {}", family.printed, model.join(" ")));
    let weight = if model.is_some() { WEIGHT } else { 1 };
    Some(Hint { model, weight, ..hint })
}

fn by_pattern(text: &str, lower: &str) -> Option<Hint> {
    let after = |head: &str| lower.strip_prefix(head);
    let is_windows = ["DESKTOP-", "LAPTOP-"].iter().any(|head| {
        text.strip_prefix(head).is_some_and(|rest| {
            (7..=8).contains(&rest.len())
                && rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        })
    });
    if is_windows {
        return Some(hint(&[Computer], &[], "a computer with Windows".to_owned(), WINDOWS_SETUP));
    }
    if after("android-").is_some_and(|rest| is_hex(rest, 12..=16)) {
        let fits = &[Phone, Tablet, Tv, Watch];
        let weaker = hint(fits, &[], "a device with Android".to_owned(), ANDROID_NAME);
        return Some(Hint { weight: 2, ..weaker });
    }
    if after("hp").is_some_and(|rest| is_hex(rest, 6..=12)) {
        return Some(hint(&[Printer], &["HP"], "a printer of HP".to_owned(), FACTORY));
    }
    None
}

/// The words of a name: between separators, and where a small letter is before a capital; `Note8` is two.
fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for part in text.split(is_separator).filter(|part| !part.is_empty()) {
        // "OnePlus" is one word, "RedmiNote8" begins with one, and "redmine" does not.
        let lower = part.to_ascii_lowercase();
        let begins = |family: &&Family| {
            let rest = lower.strip_prefix(family.word).and_then(|_| part.get(family.word.len()..));
            rest.is_some_and(|rest| !rest.starts_with(|c: char| !c.is_uppercase() && !c.is_ascii_digit()))
        };
        let family = FAMILIES.iter().filter(|family| !family.wants_number).find(begins);
        let (head, tail) = part.split_at(family.map_or(0, |family| family.word.len()));
        if !head.is_empty() {
            words.push(head.to_owned());
        }
        let mut word = String::new();
        for letter in tail.chars() {
            let is_new_word =
                letter.is_uppercase() && word.chars().next_back().is_some_and(char::is_lowercase);
            let is_number = letter.is_ascii_digit()
                && MODEL_WORDS.contains(&word.to_ascii_lowercase().as_str())
                && word.len() > 2;
            if is_new_word || is_number {
                words.push(core::mem::take(&mut word));
            }
            word.push(letter);
        }
        if !word.is_empty() {
            words.push(word);
        }
    }
    words
}

/// The family's maker as the list that hints carry.
fn make_list(make: &'static str) -> &'static [&'static str] {
    FAMILIES.iter().find(|f| f.make == make).map_or(&[], |f| core::slice::from_ref(&f.make))
}

fn is_separator(c: char) -> bool {
    matches!(c, '-' | '_' | ' ' | '.' | '\'' | '’')
}

fn is_hex(text: &str, lens: core::ops::RangeInclusive<usize>) -> bool {
    lens.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kind: DeviceKind, make: Option<&str>, model: Option<&str>) {
        let found = hostname(text).unwrap_or_else(|| panic!("{text}: nothing"));
        let says = (found.fits.first().copied(), found.makes.first().copied(), found.model.as_deref());
        assert_eq!(says, (Some(kind), make, model), "{text}");
    }

    #[test]
    fn names_from_the_factory_are_known() {
        check("Redmi-Note-8", Phone, Some("Xiaomi"), Some("Redmi Note 8"));
        check("RedmiNote8-Redmi", Phone, Some("Xiaomi"), Some("Redmi Note 8"));
        check("Redmi-Note-8-Pro", Phone, Some("Xiaomi"), Some("Redmi Note 8 Pro"));
        check("POCO-X3-NFC", Phone, Some("Xiaomi"), Some("POCO X3 NFC"));
        check("Redmi-Pad-SE", Tablet, Some("Xiaomi"), Some("Redmi Pad SE"));
        check("Mi-11", Phone, Some("Xiaomi"), Some("Mi 11"));
        check("Galaxy-S21", Phone, Some("Samsung"), Some("Galaxy S21"));
        check("Galaxy-A52-von-Lena", Phone, Some("Samsung"), Some("Galaxy A52"));
        check("Galaxy-Tab-S6-Lite", Tablet, Some("Samsung"), Some("Galaxy Tab S6 Lite"));
        check("Galaxy-Watch4", Watch, Some("Samsung"), Some("Galaxy Watch 4"));
        check("SM-G991B", Phone, Some("Samsung"), Some("SM-G991B"));
        check("Pixel-7-Pro", Phone, Some("Google"), Some("Pixel 7 Pro"));
        check("HUAWEI_P30_lite-2f1", Phone, Some("Huawei"), Some("Huawei P30 lite 2f1"));
        check("OnePlus-7T", Phone, Some("OnePlus"), Some("OnePlus 7T"));
        check("vivo-1904", Phone, Some("vivo"), Some("vivo 1904"));
        check("moto-g-power", Phone, Some("Motorola"), Some("moto g power"));
        check("Lenas-iPhone", Phone, Some("Apple"), Some("iPhone"));
        check("iPad", Tablet, Some("Apple"), Some("iPad"));
        check("Lenas-MacBook-Pro", Computer, Some("Apple"), Some("MacBook"));
        check("DESKTOP-4F7QK2M", Computer, None, None);
        check("android-1a2b3c4d5e6f7081", Phone, None, None);
        check("PS5-123", GameConsole, Some("Sony"), None);
        check("BRW001122AABBCC", Printer, Some("Brother"), None);
        check("HP3C5282AABBCC", Printer, Some("HP"), None);
        check("ESP_1A2B3C", Iot, None, None);
    }

    #[test]
    fn other_names_say_nothing() {
        for text in [
            "",
            "lena",
            "thinkpad",
            "mi",
            "mate",
            "Mate-and-me",
            "nokia",
            "brno",
            "npi",
            "DESKTOP-x",
            "hpx",
            "android-phone",
            "sm-",
            "SM-Z000",
            "SM-G12",
            "--",
            "é",
            "desktop-4f7qk2m",
            "my-microwave",
            "redmine",
            "honorable-mention",
            "vivofit",
        ] {
            assert_eq!(hostname(text), None, "{text}");
        }
    }

    #[test]
    fn a_model_is_short_and_plain() {
        check("Redmi-Note-8-Pro-9-9-9", Phone, Some("Xiaomi"), Some("Redmi Note 8 Pro"));
        check("Redmi-8\u{202e}", Phone, Some("Xiaomi"), None);
        check("Galaxy-12345678901234567890", Phone, Some("Samsung"), None);
        check("Galaxy", Phone, Some("Samsung"), None);
    }
}
