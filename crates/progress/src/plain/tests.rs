use super::*;
use crate::clock::tests::Manual;
use crate::{Progress, Stream, Vertex, Warning};

/// A writer that keeps what is written.
#[derive(Clone, Default)]
pub(crate) struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn plain() -> (Progress, Manual, Screen) {
    let (screen, clock) = (Screen::default(), Manual::default());
    let plain = Plain::new(Box::new(screen.clone()), PlainOptions::default());
    let progress = Progress::with_clock(vec![Arc::new(plain)], Box::new(clock.clone()));
    (progress, clock, screen)
}

#[test]
fn one_after_the_other() {
    let (progress, clock, screen) = plain();
    let _never_reached = progress.vertex(&Vertex::named("[unused 1/1] RUN false"));
    let load = progress.start("[internal] load build definition from Dockerfile");
    let transfer = load.transfer("transferring dockerfile:", 0);
    transfer.set(532);
    clock.advance(20);
    transfer.done();
    load.done();
    progress.vertex(&Vertex::named("[1/3] FROM alpine")).cached();
    let run = progress.start("[2/3] RUN make");
    run.note("the command changed");
    run.log(Stream::Out, b"first\nsec");
    clock.advance(1234);
    run.log(Stream::Err, b"an error\n");
    run.log(Stream::Out, b"ond\n\x1b[1mraw\x1b[0m");
    run.warning(&Warning { message: "careful".into(), ..Warning::default() });
    run.fail("process did not complete successfully: exit code: 1");
    progress.start("[3/3] RUN more").cancel();
    progress.finish();
    insta::assert_snapshot!(screen.text().replace('\u{1b}', "ESC"), @r"
    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile:
    #1 transferring dockerfile: 532B 0.0s done
    #1 DONE 0.0s

    #2 [1/3] FROM alpine
    #2 CACHED

    #3 [2/3] RUN make
    #3 note: the command changed
    #3 0.000 first
    #3 1.234 an error
    #3 1.234 second
    #3 WARN: careful
    #3 1.234 ESC[1mrawESC[0m
    #3 ERROR: process did not complete successfully: exit code: 1

    #4 [3/3] RUN more
    #4 CANCELED
    ");
}

#[test]
fn parallel_vertices_take_turns() {
    let (progress, clock, screen) = plain();
    let a = progress.start("[a 1/1] RUN a");
    let b = progress.start("[b 1/1] RUN b");
    a.log(Stream::Out, b"a says 1\n");
    clock.advance(100);
    b.log(Stream::Out, b"b says 1\n");
    a.log(Stream::Out, b"a says 2\n");
    let c = progress.start("[c 1/1] RUN c");
    clock.advance(100);
    c.done();
    clock.advance(100);
    a.log(Stream::Out, b"a says 3\n");
    clock.advance(12_000);
    b.log(Stream::Out, b"b says 2\n");
    a.log(Stream::Out, b"a says 4\n");
    b.done();
    a.done();
    progress.finish();
    insta::assert_snapshot!(screen.text(), @r"
    #1 [a 1/1] RUN a
    #1 0.000 a says 1
    #1 0.100 a says 2
    #1 ...

    #2 [c 1/1] RUN c
    #2 DONE 0.1s

    #3 [b 1/1] RUN b
    #3 0.100 b says 1
    #3 12.30 b says 2
    #3 ...

    #1 [a 1/1] RUN a
    #1 0.300 a says 3
    #1 12.30 a says 4
    #1 ...

    #3 [b 1/1] RUN b
    #3 DONE 12.3s

    #1 [a 1/1] RUN a
    #1 DONE 12.3s
    ");
}

#[test]
fn a_transfer_is_told_by_twentieths() {
    let (progress, clock, screen) = plain();
    let pull = progress.start("[1/1] FROM alpine");
    let transfer = pull.transfer("sha256:abc", 30_100_000);
    for _ in 0..40 {
        clock.advance(150);
        transfer.advance(300_000);
    }
    transfer.done();
    pull.done();
    let lines = screen.text().lines().filter(|line| line.contains("sha256:abc")).count();
    // 12 MB of 30.1 MB in steps of a twentieth (every sixth report), the beginning and the end.
    assert_eq!(lines, 2 + 40 / 6, "{}", screen.text());
    assert!(screen.text().contains("#1 sha256:abc 12.00MB / 30.10MB 6.0s done\n"), "{}", screen.text());
}

#[test]
fn long_lines_are_whole_and_endless_ones_come_in_pieces() {
    let (progress, _, screen) = plain();
    let run = progress.start("x");
    let long = "y".repeat(100_000);
    run.log(Stream::Out, format!("{long}\n").as_bytes());
    assert!(screen.text().ends_with(&format!("#1 0.000 {long}\n")));
    for _ in 0..11 {
        run.log(Stream::Out, long.as_bytes());
    }
    assert_eq!(screen.text().lines().count(), 3);
}

#[test]
fn what_waits_is_shown_by_the_ticker() {
    let screen = Screen::default();
    let plain = Arc::new(Plain::new(Box::new(screen.clone()), PlainOptions::default()));
    let progress = Progress::new(vec![plain.clone()]);
    let a = progress.start("a");
    let b = progress.start("b");
    assert!(plain.ticker.stopped_or_unused(), "no thread before it is allowed");
    progress.allow_threads();
    b.log(Stream::Out, b"from b\n");
    assert!(!plain.ticker.stopped_or_unused());
    assert!(!screen.text().contains("from b"));
    plain.state.lock().unwrap().current_since = Moment::default();
    for _ in 0..100 {
        if screen.text().contains("from b") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(screen.text().contains("#2 0.00"), "{}", screen.text());
    a.done();
    progress.finish();
    assert!(plain.ticker.stopped_or_unused());
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let plain = Arc::new(Plain::new(Box::new(Gone), PlainOptions::default()));
    let progress = Progress::new(vec![plain.clone()]);
    progress.start("x").done();
    progress.finish();
    assert!(plain.lock().broken);
}

#[test]
fn many_threads_lose_and_mix_nothing() {
    let screen = Screen::default();
    let plain = Plain::new(Box::new(screen.clone()), PlainOptions::default());
    let progress = Progress::new(vec![Arc::new(plain)]);
    progress.allow_threads();
    std::thread::scope(|scope| {
        for name in 0..8 {
            let vertex = progress.start(&format!("v{name}"));
            scope.spawn(move || {
                for line in 0..200 {
                    vertex.log(Stream::Out, format!("v{name} line ").as_bytes());
                    vertex.log(Stream::Out, format!("{line}\n").as_bytes());
                }
                vertex.done();
            });
        }
    });
    progress.finish();
    let text = screen.text();
    for name in 0..8 {
        let header = text.lines().find(|line| line.ends_with(&format!(" v{name}"))).unwrap();
        let number = header.split(' ').next().unwrap();
        let own = text.lines().filter(|line| line.split(' ').next() == Some(number));
        let logged: Vec<_> = own.filter_map(|line| line.split_once(&format!(" v{name} line "))).collect();
        let lines: Vec<_> = logged.iter().map(|(_, line)| line.parse::<usize>().unwrap()).collect();
        assert_eq!(lines, (0..200).collect::<Vec<_>>(), "{text}");
    }
    assert_eq!(text.matches(" DONE ").count(), 8);
}
