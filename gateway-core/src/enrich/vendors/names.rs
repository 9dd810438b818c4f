//! A list of texts in one piece of memory: half of what a list of strings takes.

/// Texts between two places that are written down. The lengths between are added up.
const STRIDE: usize = 16;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Names {
    text: String,
    lens: Vec<u8>,
    /// Where every sixteenth begins.
    starts: Vec<u32>,
}

impl Names {
    /// Of texts in one piece with their lengths; `None` where a length does not end at a letter's end, the text is not
    /// used up, or a name is empty or not printable.
    pub(super) fn new(text: String, lens: Vec<u8>) -> Option<Self> {
        let mut starts = Vec::with_capacity(lens.len().div_ceil(STRIDE));
        let mut at = 0_usize;
        for (position, len) in lens.iter().enumerate() {
            if position % STRIDE == 0 {
                starts.push(u32::try_from(at).ok()?);
            }
            let end = at.checked_add(usize::from(*len))?;
            let name = text.get(at..end)?;
            if name.is_empty() || name.chars().any(char::is_control) {
                return None;
            }
            at = end;
        }
        (at == text.len()).then_some(Self { text, lens, starts })
    }

    pub(super) fn get(&self, position: usize) -> Option<&str> {
        let len = usize::from(*self.lens.get(position)?);
        let block = position / STRIDE;
        let start = usize::try_from(*self.starts.get(block)?).ok()?;
        let before = self.lens.get(block * STRIDE..position)?;
        let start = start + before.iter().map(|len| usize::from(*len)).sum::<usize>();
        self.text.get(start..start + len)
    }

    pub(super) fn len(&self) -> usize {
        self.lens.len()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn lens(&self) -> &[u8] {
        &self.lens
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.text.capacity() + self.lens.capacity() + self.starts.capacity() * size_of::<u32>()
    }
}
