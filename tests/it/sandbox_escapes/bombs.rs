//! Pages that use up whatever there is: each comes to an end, and its slot goes on.

use std::time::{Duration, Instant};

use mondo_jobs::finding::{FindingClass, Report};
use mondo_workers::sandbox::BackendChoice;

use super::{around, assert_unaffected, run, say};
use crate::support::sandbox::{execute, pool};

/// No execution takes longer, whatever its page does: 30 s of processor time for the page, which is at most 90 s, and
/// the rest for a browser that must be replaced on a busy machine.
const WALL_MAX: Duration = Duration::from_mins(2);

/// How a bomb ends.
enum Fate {
    /// It is stopped before its plan is at its end, and a finding says so.
    Stopped,
    /// It is carried through to the end of its plan.
    Harmless,
    /// One or the other, as the machine is fast.
    Either,
    /// It fills the list of findings, which stays bounded.
    Flood,
}

struct Bomb {
    name: &'static str,
    script: &'static str,
    fate: Fate,
}

const fn stopped(name: &'static str, script: &'static str) -> Bomb {
    Bomb { name, script, fate: Fate::Stopped }
}

const fn harmless(name: &'static str, script: &'static str) -> Bomb {
    Bomb { name, script, fate: Fate::Harmless }
}

const fn flood(name: &'static str, script: &'static str) -> Bomb {
    Bomb { name, script, fate: Fate::Flood }
}

const fn either(name: &'static str, script: &'static str) -> Bomb {
    Bomb { name, script, fate: Fate::Either }
}

const MACHINE: &[Bomb] = &[
    stopped(
        "workers by the thousand",
        r"const url = URL.createObjectURL(new Blob(['for (;;);'])); for (let i = 0; i < 2000; i += 1) new Worker(url);",
    ),
    stopped(
        "workers that start workers",
        r"const source = `onmessage = ({ data }) => { for (let i = 0; i < 8; i += 1) new Worker(data).postMessage(data); }`; const url = URL.createObjectURL(new Blob([source])); new Worker(url).postMessage(url);",
    ),
    stopped(
        "frames by the thousand",
        r"for (let i = 0; i < 5000; i += 1) document.body.append(document.createElement('iframe'));",
    ),
    stopped("endless loop", r"for (;;);"),
    stopped("microtasks without end", r"const again = () => Promise.resolve().then(again); again();"),
    stopped(
        "busy workers",
        r"const url = URL.createObjectURL(new Blob(['for (;;) Math.random();'])); for (let i = 0; i < 16; i += 1) new Worker(url);",
    ),
    stopped(
        "endless shader",
        r"const c = document.body.appendChild(document.createElement('canvas')); const gl = c.getContext('webgl'); const s = (t, x) => { const o = gl.createShader(t); gl.shaderSource(o, x); gl.compileShader(o); return o; }; const p = gl.createProgram(); gl.attachShader(p, s(gl.VERTEX_SHADER, 'attribute vec2 a; void main() { gl_Position = vec4(a, 0, 1); }')); gl.attachShader(p, s(gl.FRAGMENT_SHADER, 'precision highp float; void main() { float x = 0.; for (int i = 0; i < 100000000; i++) x += sin(float(i)); gl_FragColor = vec4(x); }')); gl.linkProgram(p); gl.useProgram(p); gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer()); gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW); gl.enableVertexAttribArray(0); gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0); gl.drawArrays(gl.TRIANGLES, 0, 3);",
    ),
    stopped(
        "endless shader and endless loop",
        r"const c = document.body.appendChild(document.createElement('canvas')); const gl = c.getContext('webgl'); const s = (t, x) => { const o = gl.createShader(t); gl.shaderSource(o, x); gl.compileShader(o); return o; }; const p = gl.createProgram(); gl.attachShader(p, s(gl.VERTEX_SHADER, 'attribute vec2 a; void main() { gl_Position = vec4(a, 0, 1); }')); gl.attachShader(p, s(gl.FRAGMENT_SHADER, 'precision highp float; void main() { float x = 0.; for (int i = 0; i < 100000000; i++) x += sin(float(i)); gl_FragColor = vec4(x); }')); gl.linkProgram(p); gl.useProgram(p); gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer()); gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW); gl.enableVertexAttribArray(0); gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0); gl.drawArrays(gl.TRIANGLES, 0, 3); gl.flush(); for (;;);",
    ),
    stopped("typed arrays", r"const all = []; for (;;) all.push(new Uint8Array(64 << 20).fill(1));"),
    stopped(
        "objects",
        r"const all = []; for (;;) all.push({ some: 'object', number: Math.random(), list: [1, 2, 3] });",
    ),
    stopped(
        "elements without end",
        r"for (;;) { const p = document.createElement('p'); p.textContent = 'x'.repeat(1000); document.body.append(p); }",
    ),
    stopped(
        "canvases",
        r"const all = []; setInterval(() => { for (let i = 0; i < 4; i += 1) { const c = document.createElement('canvas'); c.width = c.height = 4096; c.getContext('2d').fillRect(0, 0, 4096, 4096); all.push(c); } }, 10);",
    ),
    stopped(
        "image bitmaps",
        r"const all = []; setInterval(async () => { for (let i = 0; i < 4; i += 1) all.push(await createImageBitmap(new ImageData(4096, 4096))); }, 10);",
    ),
    stopped(
        "textures",
        r"const all = []; setInterval(() => { const gl = document.createElement('canvas').getContext('webgl2'); if (!gl) return; for (let i = 0; i < 8; i += 1) { const t = gl.createTexture(); gl.bindTexture(gl.TEXTURE_2D, t); gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 4096, 4096, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4096 * 4096 * 4)); } all.push(gl); }, 10);",
    ),
    stopped(
        "WebAssembly memory",
        r"const all = []; for (;;) { const m = new WebAssembly.Memory({ initial: 1000, maximum: 65536 }); new Uint8Array(m.buffer).fill(1); all.push(m); }",
    ),
    stopped(
        "blobs",
        r"const all = []; const piece = new Uint8Array(16 << 20).fill(7); setInterval(() => { for (let i = 0; i < 20; i += 1) all.push(new Blob([piece, String(all.length)])); }, 20);",
    ),
    stopped(
        "memory of workers",
        r"const source = 'const all = []; for (;;) all.push(new Uint8Array(16 << 20).fill(1));'; for (let i = 0; i < 4; i += 1) new Worker(URL.createObjectURL(new Blob([source])));",
    ),
    stopped(
        "unread messages",
        r"const { port1 } = new MessageChannel(); const piece = 'x'.repeat(1 << 20); setInterval(() => { for (let i = 0; i < 50; i += 1) port1.postMessage(piece); }, 10);",
    ),
    stopped("title of 4 MiB, for ever", r"setInterval(() => { document.title = 'x'.repeat(1 << 22); }, 1);"),
];

const BROWSER: &[Bomb] = &[
    flood("20000 errors in the console", r"for (let i = 0; i < 20000; i += 1) console.error('line ' + i);"),
    stopped(
        "40 MiB in the console",
        r"console.error('x'.repeat(40 << 20)); for (let i = 0; i < 100; i += 1) console.log('y'.repeat(8 << 20));",
    ),
    flood(
        "1000 errors in each frame",
        r"const frame = () => { for (let i = 0; i < 1000; i += 1) setTimeout(() => { throw new Error('fault ' + Math.random()); }, 0); requestAnimationFrame(frame); }; frame();",
    ),
    either("100000 elements", r"document.body.innerHTML = '<p>x<b>y</b></p>'.repeat(50000);"),
    stopped(
        "elements 50000 deep",
        r"let at = document.body; for (let i = 0; i < 50000; i += 1) at = at.appendChild(document.createElement('div'));",
    ),
    // In turns, for a slow machine takes longer over all of them than a page may be silent.
    harmless(
        "windows by the thousand",
        r"for (let turn = 0; turn < 50; turn += 1) setTimeout(() => { for (let i = 0; i < 100; i += 1) open('about:blank', '_blank'); });",
    ),
    harmless(
        "20000 dialogs",
        r"for (let turn = 0; turn < 200; turn += 1) setTimeout(() => { for (let i = 0; i < 100; i += 1) alert(i); });",
    ),
    harmless(
        "questions before leaving",
        r"onbeforeunload = (event) => { event.preventDefault(); return 'stay'; }; setInterval(() => { location.href = 'https://example.com/' + Math.random(); }, 500);",
    ),
    harmless("reload without end", r"setTimeout(() => location.reload(), 0);"),
    harmless(
        "history without end",
        r"setInterval(() => { for (let i = 0; i < 20; i += 1) history.pushState('x'.repeat(10000), '', '#' + i); history.back(); }, 50);",
    ),
    harmless("away to about:blank", r"location.href = 'about:blank';"),
    stopped(
        "away to an endless blob",
        r"location.href = URL.createObjectURL(new Blob(['<script>for (;;);</scr' + 'ipt>'], { type: 'text/html' }));",
    ),
    harmless(
        "2000 downloads",
        r"let left = 2000; const next = () => { for (let i = 0; i < 50; i += 1) { const a = document.createElement('a'); a.href = URL.createObjectURL(new Blob(['x'.repeat(10000)])); a.download = left + '.zip'; a.click(); } left -= 50; if (left > 0) setTimeout(next, 50); }; next();",
    ),
    harmless("printing without end", r"setInterval(print, 5);"),
    harmless("loading without end", r"(async () => { for (;;) await fetch('data:text/plain,x'); })();"),
    flood(
        "20000 requests",
        r"for (let i = 0; i < 20000; i += 1) fetch('https://example.com/' + i).catch(() => {});",
    ),
    flood("5000 sockets", r"for (let i = 0; i < 5000; i += 1) new WebSocket('ws://127.0.0.1:1/' + i);"),
    harmless("debugger without end", r"setInterval(() => { debugger; }, 20);"),
];

async fn check(backend: BackendChoice, bombs: &[Bomb]) {
    let pool = pool(backend, 1).await;
    let fresh = execute(&pool, "dice").await;
    for Bomb { name, script, fate } in bombs {
        let started = Instant::now();
        let report = run(&pool, around(script)).await;
        let took = started.elapsed();
        let first = report.blocking().next().map_or("nothing blocking", |finding| &finding.message);
        say(&format!("{name} | {first} | {} ms", took.as_millis()));
        assert!(took < WALL_MAX, "{name} took {took:?}");
        check_fate(name, fate, &report);
        assert_unaffected(&pool, &fresh, name).await;
    }
    pool.close().await;
}

fn check_fate(name: &str, fate: &Fate, report: &Report) {
    let ends = [FindingClass::Hang, FindingClass::Memory, FindingClass::Crash];
    let stopped = report.blocking().any(|finding| ends.contains(&finding.class));
    let through = !stopped && report.page_ms > 20_000;
    let as_expected = match fate {
        Fate::Stopped => stopped,
        Fate::Harmless => through,
        Fate::Either => stopped || through,
        Fate::Flood => report.findings.len() == 200 && report.findings_left_out > 0,
    };
    assert!(as_expected, "{name} ended otherwise: {report:#?}");
}

#[tokio::test]
async fn what_uses_up_the_machine_is_stopped_locally() {
    check(BackendChoice::Local, MACHINE).await;
}

#[tokio::test]
async fn what_uses_up_the_machine_is_stopped_in_docker() {
    check(BackendChoice::Docker, MACHINE).await;
}

#[tokio::test]
async fn a_local_browser_that_outgrows_its_memory_is_ended() {
    let pool = pool(BackendChoice::Local, 1).await;
    let unread = MACHINE.iter().find(|bomb| bomb.name == "unread messages").unwrap();
    let report = run(&pool, around(unread.script)).await;
    let said = report.blocking().any(|finding| finding.message.contains("more memory than the 1024 MiB"));
    assert!(said, "{report:#?}");
    // Without a limit it has been seen at eight times as much.
    assert!((1 << 30..2 << 30).contains(&report.memory_bytes_peak), "{}", report.memory_bytes_peak);
    pool.close().await;
}

#[tokio::test]
async fn what_floods_the_browser_ends_locally() {
    check(BackendChoice::Local, BROWSER).await;
}

#[tokio::test]
async fn what_floods_the_browser_ends_in_docker() {
    check(BackendChoice::Docker, BROWSER).await;
}
