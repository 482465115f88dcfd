use super::*;
use crate::clock::tests::Manual;
use crate::plain::tests::Screen as Kept;
use crate::{Progress, Stream, Vertex, Warning};

fn tty(size: (u16, u16), colors: Option<Colors>) -> (Progress, Manual, Kept, Arc<Tty>) {
    let (screen, clock) = (Kept::default(), Manual::default());
    let options = TtyOptions { size: Box::new(move || size), colors, log_lines: 2, ..TtyOptions::default() };
    let tty = Arc::new(Tty::new(Box::new(screen.clone()), options));
    let progress = Progress::with_clock(vec![tty.clone()], Box::new(clock.clone()));
    (progress, clock, screen, tty)
}

/// What a terminal shows after `text`: the few sequences that frames use, applied.
fn shown(text: &str) -> String {
    let (mut rows, mut row, mut fresh) = (vec![String::new()], 0_usize, true);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' => {
                (row, fresh) = (row + 1, true);
                if rows.len() <= row {
                    rows.push(String::new());
                }
            }
            '\r' => fresh = true,
            '\u{1b}' => {
                let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
                let (sequence, after) = rest.split_at(end + 1);
                rest = after;
                match sequence.as_bytes() {
                    [b'[', number @ .., b'A'] => {
                        row -= std::str::from_utf8(number).unwrap().parse::<usize>().unwrap()
                    }
                    b"[K" => {}
                    b"[J" => {
                        rows.truncate(row + 1);
                        rows[row].clear();
                    }
                    b"[?25l" | b"[?25h" | b"[?7l" | b"[?7h" => {}
                    [b'[', .., b'm'] => {}
                    other => panic!("unexpected sequence {other:?}"),
                }
                continue;
            }
            c => {
                // The first character of a row replaces what was there.
                if std::mem::take(&mut fresh) {
                    rows[row].clear();
                }
                rows[row].push(c);
            }
        }
    }
    rows.join("\n")
}

#[test]
fn a_quick_build_draws_its_last_frame_only() {
    let (progress, clock, screen, tty) = tty((60, 20), None);
    progress.vertex(&Vertex::named("[1/2] FROM alpine")).cached();
    progress.vertex(&Vertex::named("[2/2] RUN make")).cached();
    clock.advance(40);
    progress.allow_threads();
    assert!(tty.ticker.stopped_or_unused(), "a cached build starts no thread");
    assert_eq!(screen.text(), "");
    progress.finish();
    progress.finish();
    insta::assert_snapshot!(screen.text().replace('\u{1b}', "ESC").replace('\r', "CR"), @r"
    ESC[?25lESC[?7lCR[+] Building 0.0s (2/2) FINISHEDESC[K
     => CACHED [1/2] FROM alpine                            0.0sESC[K
     => CACHED [2/2] RUN make                               0.0sESC[K
    ESC[JESC[?7hESC[?25h
    ");
}

#[test]
fn a_frame_shows_what_runs_and_its_last_lines() {
    let (progress, clock, screen, _tty) = tty((60, 20), None);
    progress.vertex(&Vertex::named("[builder 1/3] FROM alpine")).cached();
    let pull = progress.start("[stage-1 1/2] FROM node");
    let transfer = pull.transfer("sha256:abcdef", 30_100_000);
    let run = progress.start("[builder 2/3] RUN npm ci && a command that is longer than the screen");
    run.note("the command changed");
    let _later = progress.vertex(&Vertex::named("[builder 3/3] RUN more"));
    run.log(Stream::Out, b"one\ntwo\x1b[2J\x1b[H\r\nthree\n");
    clock.advance(1200);
    transfer.set(12_300_000);
    insta::assert_snapshot!(shown(&screen.text()), @r"
    [+] Building 1.2s (1/4)
     => CACHED [builder 1/3] FROM alpine                    0.0s
     => [stage-1 1/2] FROM node                             1.2s
     => => sha256:abcdef                 12.30MB / 30.10MB  1.2s
     => [builder 2/3] RUN npm ci && a command that is longe 1.2s
     => => note: the command changed
     => => # two
     => => # three
    ");
    transfer.done();
    pull.done();
    run.warning(&Warning { message: "careful".into(), ..Warning::default() });
    clock.advance(300);
    run.fail("exit code: 1");
    progress.start("[other 1/1] RUN x").cancel();
    progress.finish();
    insta::assert_snapshot!(shown(&screen.text()), @r"
    [+] Building 1.5s (4/5)
     => CACHED [builder 1/3] FROM alpine                    0.0s
     => [stage-1 1/2] FROM node                             1.2s
     => => sha256:abcdef                 12.30MB / 30.10MB  1.2s
     => ERROR [builder 2/3] RUN npm ci && a command that is 1.5s
     => => note: the command changed
     => WARN: careful
     => CANCELED [other 1/1] RUN x                          0.0s
    ");
}

#[test]
fn a_transfer_shows_its_speed_where_there_is_room() {
    let (progress, clock, screen, _tty) = tty((80, 20), None);
    let pull = progress.start("pulling node");
    let transfer = pull.transfer("sha256:abcdef", 30_100_000);
    clock.advance(2000);
    transfer.set(12_300_000);
    insta::assert_snapshot!(shown(&screen.text()), @r"
    [+] Building 2.0s (0/1)
     => pulling node                                                            2.0s
     => => sha256:abcdef                  6.15MB/s, 3s left  12.30MB / 30.10MB  2.0s
    ");
}

#[test]
fn a_small_screen_keeps_what_runs() {
    let (progress, clock, screen, _tty) = tty((40, 6), None);
    let slow = progress.start("slow");
    for n in 0..5 {
        progress.start(&format!("quick {n}")).done();
    }
    slow.log(Stream::Out, b"hidden for want of room\n");
    clock.advance(100);
    slow.log(Stream::Out, b"x\n");
    insta::assert_snapshot!(shown(&screen.text()), @r"
    [+] Building 0.1s (5/6)
     => slow                            0.1s
     => quick 2                         0.0s
     => quick 3                         0.0s
     => quick 4                         0.0s
    ");
    clock.advance(100);
    slow.done();
    progress.finish();
    insta::assert_snapshot!(shown(&screen.text()), @r"
    [+] Building 0.2s (6/6) FINISHED
     => slow                            0.2s
     => quick 0                         0.0s
     => quick 1                         0.0s
     => quick 2                         0.0s
     => quick 3                         0.0s
     => quick 4                         0.0s
    ");
}

#[test]
fn colours_mark_how_it_ended() {
    let (progress, _, screen, _tty) = tty((30, 20), Some(Colors::default()));
    progress.start("good").done();
    progress.start("bad").fail("no");
    progress.finish();
    let text = screen.text();
    assert!(text.contains("\x1b[34m => good"), "{text:?}");
    assert!(text.contains("\x1b[31m => ERROR bad"), "{text:?}");
}

#[test]
fn no_row_is_wider_than_the_screen() {
    for columns in [1, 5, 13, 20, 33] {
        let (progress, clock, screen, _tty) = tty((columns, 30), None);
        let run = progress.start("日本語の名前 and more of it");
        run.log(Stream::Out, "日本語".repeat(30).as_bytes());
        run.log(Stream::Out, b"\n");
        let _transfer = run.transfer("sha256:0123456789", 5_000_000_000);
        clock.advance(100);
        run.log(Stream::Out, b"x");
        progress.finish();
        for row in shown(&screen.text()).lines() {
            assert!(crate::text::width(row) <= usize::from(columns), "{columns}: {row}");
        }
    }
}

#[test]
fn the_thread_draws_while_nothing_happens() {
    let screen = Kept::default();
    let tty = Arc::new(Tty::new(Box::new(screen.clone()), TtyOptions::default()));
    let progress = Progress::new(vec![tty.clone()]);
    let run = progress.start("sleep");
    assert!(tty.ticker.stopped_or_unused(), "no thread before it is allowed");
    progress.allow_threads();
    assert!(!tty.ticker.stopped_or_unused());
    for _ in 0..100 {
        if screen.text().contains("sleep") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(screen.text().contains("[+] Building 0."), "{}", screen.text());
    run.done();
    progress.finish();
    assert!(tty.ticker.stopped_or_unused());
    assert!(screen.text().contains("(1/1) FINISHED"));
}

#[test]
fn events_and_frames_from_many_threads_end() {
    let screen = Kept::default();
    let tty = Arc::new(Tty::new(Box::new(screen.clone()), TtyOptions::default()));
    let progress = Progress::new(vec![tty]);
    progress.allow_threads();
    std::thread::scope(|scope| {
        for name in 0..8 {
            let vertex = progress.start(&format!("v{name}"));
            scope.spawn(move || {
                for _ in 0..50 {
                    vertex.log(Stream::Err, b"line\n");
                    std::thread::sleep(Duration::from_millis(5));
                }
                vertex.done();
            });
        }
    });
    progress.finish();
    let last = shown(&screen.text());
    assert!(last.starts_with("[+] Building "), "{last}");
    assert!(last.contains("(8/8) FINISHED"), "{last}");
    assert_eq!(last.lines().count(), 9, "{last}");
}
