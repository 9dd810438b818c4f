//! Every input that the fuzzer found worth keeping, and every prefix of it, through what the fuzzer checks.

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

#[test]
fn every_kept_input_and_its_prefixes_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in fuzz::TARGETS {
        let files =
            std::fs::read_dir(corpus.join(name)).unwrap_or_else(|e| panic!("the corpus of {name}: {e}"));
        let mut count = 0;
        for file in files {
            let path = file.expect("a corpus that can be listed").path();
            let data = std::fs::read(&path).expect("an input that can be read");
            target(&data);
            // Every prefix of the small ones; of the others the ends of every stretch.
            let step = data.len().div_ceil(512).max(1);
            for len in (0..data.len()).step_by(step) {
                target(&data[..len]);
            }
            count += 1;
        }
        assert!(count > 0, "there are inputs for {name}");
    }
}
