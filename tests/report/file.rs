//! The file that the page is written to: whole or not at all, and nowhere else.

use super::support::{Bed, Suite, TestResult, equal, need};

/// Adds the tests.
pub fn add(suite: &mut Suite) {
    suite.test("file::mode", mode);
    suite.test("file::replaced", replaced);
    suite.test("file::refused", refused);
    suite.test("file::no_room", no_room);
    suite.test("file::links", links);
}

/// What a new file gets here, also in the place of one that had more.
fn mode(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"for mask in 022 077 000; do (umask $mask; "$NSPREP" report -o r.html); stat -c %a r.html; done
        "$NSPREP" report -o ./r.html; "$NSPREP" report -o "$BED/r.html"; ls"#;
    equal(
        "said",
        bed.script(text)?.succeed()?.lines().take(3).collect::<Vec<_>>(),
        ["644", "600", "644"],
    )
}

/// Who has the old one open keeps it.
fn replaced(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"echo old > r.html; exec 3< r.html; "$NSPREP" report --output r.html; cat <&3; tail -n 1 r.html; ls -A | grep -c html"#;
    equal(
        "said",
        bed.script(text)?.succeed()?,
        "old\n</script></body></html>\n1",
    )
}

/// What is no regular file is not replaced, and nothing is looked at before that is known.
fn refused(bed: &Bed) -> TestResult {
    need::root()?;
    bed.script("mkfifo fifo; mknod null c 1 3; mkdir folder; ln -s file link; echo old > file")?
        .succeed()?;
    let refused = |output: &str, words: &[&str]| -> TestResult {
        bed.script(&format!("\"$NSPREP\" report -o {output}"))?
            .run()?
            .refuses(2, words)
    };
    refused("fifo", &["output fifo", "no regular file", "-o -"])?;
    refused("null", &["output null", "no regular file"])?;
    refused("folder", &["output folder", "is a folder"])?;
    refused("link", &["output link", "is a symlink"])?;
    refused(
        "nowhere/r.html",
        &["nowhere/r.html", "nowhere", "no such file or directory"],
    )?;
    refused("file/r.html", &["file is no folder"])?;
    refused("..", &["names no file"])?;
    let left = bed.script("cat file; stat -c %F fifo null; ls -A | grep -c html || true")?;
    equal("left", left.succeed()?, "old\nfifo\ncharacter special file\n0")
}

/// Where it cannot be written whole, the old one stays and nothing else is left.
fn no_room(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"mkdir small; mount -t tmpfs -o size=8k tmpfs small; echo old > small/r.html
        "$NSPREP" report -o small/r.html 2> said || echo "exit $?"
        cat said small/r.html; ls -A small"#;
    let said = "exit 4\nnsprep: output small/r.html: no space left on device\nold\nr.html";
    equal("said", bed.script(text)?.succeed()?, said)
}

/// A container's folders lead nowhere else.
fn links(bed: &Bed) -> TestResult {
    need::root()?;
    let text = r#"mkdir -p elsewhere rootfs; ln -s ../elsewhere rootfs/tmp
        "$NSPREP" report -o rootfs/tmp/r.html 2> said || echo "exit $?"
        sed "s|$BED||" said; ls -A elsewhere; "$NSPREP" report -o rootfs/../elsewhere/r.html; ls -A elsewhere"#;
    let said = "exit 2\nnsprep: output rootfs/tmp/r.html: ./rootfs/tmp is no folder; name one without symlinks\nr.html";
    equal("said", bed.script(text)?.succeed()?, said)
}
