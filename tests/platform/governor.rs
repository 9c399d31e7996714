//! The governor under load: a machine with far more to do than it can gives up frames, says so, and events go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::site::soak;
use crate::stage::Stage;

/// Threads that want to run, for each core; the load is a mean over a minute, so it takes a while to see them.
const EACH: usize = 14;

#[test]
fn under_load_frames_are_given_up_and_commands_and_events_go_on() {
    if !soak() {
        println!("SKIPPED: it takes minutes and the whole machine; FORECOURT_SOAK=1 runs it");
        return;
    }
    let Some(mut stage) = Stage::new() else { return };
    let _service = stage.start();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..cores * EACH)
        .map(|_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
        })
        .collect();
    let began = Instant::now();
    let mut share = 100;
    while share == 100 && began.elapsed() < Duration::from_secs(180) {
        std::thread::sleep(Duration::from_secs(1));
        let status = stage.site.status();
        share = status.map_or(100, |s| s["platform"]["health"]["governor"]["share_percent"].as_u64().unwrap_or(100));
    }
    let told = Instant::now();
    let ask = stage.request("snapshot-health", "h1", json!({}), None).to_string();
    let answer = stage.answer("snapshot-health", "h1", ask.as_bytes());
    let answered = told.elapsed();
    stop.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|thread| thread.join().unwrap());
    let governor = &answer["result"]["governor"];
    println!(
        "Governor: {share} of 100 frames after {:?}: {governor}; a command was answered in {answered:?}",
        began.elapsed()
    );
    assert!(share < 100 && governor["reason"].as_str().unwrap().contains("a load of"), "{governor}");
    assert!(answered < Duration::from_secs(30), "{answered:?}");
}
