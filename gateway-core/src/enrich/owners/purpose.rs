//! What a name is for, as far as a source says so.

use core::fmt;

/// What a name is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Purpose {
    /// Reports of the system or an app on itself and its user.
    Telemetry,
    /// How people use an app or a site.
    Analytics,
    /// Choosing, showing and measuring advertisements.
    Advertising,
    /// What was going on when a program crashed.
    CrashReports,
    /// Notifications sent to the device.
    Push,
    /// New versions of system and apps.
    Update,
    /// A shop for apps.
    AppStore,
    /// Copies of the user's data.
    CloudSync,
    /// Signing in.
    Account,
    /// Settings that an app or system asks for.
    Configuration,
    /// Is there an internet, or a page to log in on first?
    ConnectivityCheck,
    /// Resolving names.
    Dns,
    /// What time it is.
    Ntp,
    /// Is a certificate still good?
    Certificates,
    /// Where the device is.
    Location,
    /// Files for others, kept near their readers.
    Cdn,
    /// Machines and pages of others.
    Hosting,
    /// Messages between people.
    Messaging,
    /// Social networks.
    Social,
    /// Videos, music, news, maps and the like.
    Content,
    /// Searching.
    Search,
    /// Buying.
    Shopping,
    /// Paying.
    Payment,
    /// Electronic mail.
    Mail,
    /// Games.
    Game,
    /// Voice assistants.
    VoiceAssistant,
    /// Things in the house.
    SmartHome,
    /// Lists of what is dangerous, and reports of what was met.
    Security,
    /// Tunnels.
    Vpn,
    /// Something of the owner's: what for is not known.
    Service,
}

impl Purpose {
    /// Every purpose, in the order in which they are declared.
    pub const ALL: [Self; 30] = [
        Self::Telemetry,
        Self::Analytics,
        Self::Advertising,
        Self::CrashReports,
        Self::Push,
        Self::Update,
        Self::AppStore,
        Self::CloudSync,
        Self::Account,
        Self::Configuration,
        Self::ConnectivityCheck,
        Self::Dns,
        Self::Ntp,
        Self::Certificates,
        Self::Location,
        Self::Cdn,
        Self::Hosting,
        Self::Messaging,
        Self::Social,
        Self::Content,
        Self::Search,
        Self::Shopping,
        Self::Payment,
        Self::Mail,
        Self::Game,
        Self::VoiceAssistant,
        Self::SmartHome,
        Self::Security,
        Self::Vpn,
        Self::Service,
    ];

    /// Its word in tables, lists, filters and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.texts().0
    }

    /// Its words for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.texts().1
    }

    /// The purpose of a word; `None` for any other text.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.word() == word)
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Telemetry => ("telemetry", "telemetry"),
            Self::Analytics => ("analytics", "analytics"),
            Self::Advertising => ("advertising", "advertising"),
            Self::CrashReports => ("crash_reports", "crash reports"),
            Self::Push => ("push", "push notifications"),
            Self::Update => ("update", "updates"),
            Self::AppStore => ("app_store", "app store"),
            Self::CloudSync => ("cloud_sync", "cloud sync"),
            Self::Account => ("account", "account"),
            Self::Configuration => ("configuration", "configuration"),
            Self::ConnectivityCheck => ("connectivity_check", "connectivity check"),
            Self::Dns => ("dns", "DNS"),
            Self::Ntp => ("ntp", "time of day (NTP)"),
            Self::Certificates => ("certificates", "certificate checks"),
            Self::Location => ("location", "location"),
            Self::Cdn => ("cdn", "content delivery (CDN)"),
            Self::Hosting => ("hosting", "hosting"),
            Self::Messaging => ("messaging", "messaging"),
            Self::Social => ("social", "social network"),
            Self::Content => ("content", "content"),
            Self::Search => ("search", "search"),
            Self::Shopping => ("shopping", "shopping"),
            Self::Payment => ("payment", "payment"),
            Self::Mail => ("mail", "e-mail"),
            Self::Game => ("game", "games"),
            Self::VoiceAssistant => ("voice_assistant", "voice assistant"),
            Self::SmartHome => ("smart_home", "smart home"),
            Self::Security => ("security", "security"),
            Self::Vpn => ("vpn", "VPN"),
            Self::Service => ("service", "service"),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_is_found_by_its_word_alone() {
        for purpose in Purpose::ALL {
            assert_eq!(Purpose::from_word(purpose.word()), Some(purpose));
        }
        assert_eq!(Purpose::from_word("Telemetry"), None);
        // In order, and none twice.
        assert!(Purpose::ALL.is_sorted_by(|a, b| a < b));
    }
}
