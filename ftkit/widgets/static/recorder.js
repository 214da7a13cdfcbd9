// A sound from the microphone. <ft-recorder> stands beside a file field with data-upload: a recording is put into that
// field as a WAV file, as if it had been chosen. The microphone is opened only when asked for, and closed again.

const RECORDED_RATE = 16000; // samples a second, one channel: what speech models take
const LONGEST_RECORDING = 20; // seconds; then it stops by itself

const refusals = {
  NotAllowedError: "The microphone is not allowed for this page. Allow it in the browser's address bar, or upload a file.",
  NotFoundError: "There is no microphone on this machine. Upload a file instead.",
  NotReadableError: "The microphone is in use by another program. Close that, or upload a file.",
};

class Recorder extends HTMLElement {
  connectedCallback() {
    if (this.press) return;
    this.count = 0;
    this.press = element("button", { type: "button", "data-key": "record",
      onclick: () => (this.tape ? this.tape.stop() : this.start()) }, "Record");
    this.level = element("i", { "aria-hidden": "true", hidden: true });
    this.status = element("span", { role: "status" });
    this.replaceChildren(this.press, this.level, this.status);
  }

  disconnectedCallback() {
    if (this.tape) this.tape.ondataavailable = this.tape.onstop = null; // gone from the page: nothing is kept
    this.close();
  }

  async start() {
    if (this.opening) return;
    if (!navigator.mediaDevices?.getUserMedia) {
      say(this.status, "The browser gives the microphone only to pages under https:// or localhost. Upload a file instead.");
      return;
    }
    this.opening = true;
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 }, video: false });
    } catch (error) {
      say(this.status, refusals[error.name] ?? `The microphone cannot be used (${error.name}). Upload a file instead.`);
      return;
    } finally {
      this.opening = false;
    }
    if (!this.isConnected) return this.close(); // the panel went while the browser asked
    const pieces = [];
    this.tape = new MediaRecorder(this.stream);
    this.tape.ondataavailable = (event) => pieces.push(event.data);
    this.tape.onstop = () => this.finish(new Blob(pieces, { type: pieces[0]?.type }));
    this.tape.start();
    this.showLevel();
    this.timer = setTimeout(() => this.tape?.stop(), 1000 * LONGEST_RECORDING);
    this.press.dataset.recording = "";
    say(this.press, "Stop recording");
    say(this.status, `Recording, at most ${LONGEST_RECORDING} seconds. Your voice stays on this machine and the one the kernel runs on.`);
  }

  /** A bar that moves with the voice: a microphone that is switched off is seen before one has spoken. */
  showLevel() {
    this.context = new AudioContext();
    const meter = this.context.createAnalyser();
    this.context.createMediaStreamSource(this.stream).connect(meter);
    const wave = new Float32Array(meter.fftSize);
    this.level.hidden = false;
    this.ticker = setInterval(() => {
      meter.getFloatTimeDomainData(wave);
      const most = wave.reduce((high, sample) => Math.max(high, Math.abs(sample)), 0);
      this.level.style.setProperty("--level", `${Math.min(100, Math.round(100 * Math.sqrt(most)))}%`);
    }, 100);
  }

  close() {
    clearTimeout(this.timer);
    clearInterval(this.ticker);
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
    this.stream = this.tape = this.context = null;
    if (!this.press) return;
    this.level.hidden = true;
    delete this.press.dataset.recording;
    say(this.press, "Record");
  }

  async finish(blob) {
    this.close();
    try {
      // The browser decodes its own format and resamples; Python could read none of these.
      const heard = await new OfflineAudioContext(1, 1, RECORDED_RATE).decodeAudioData(await blob.arrayBuffer());
      this.count += 1;
      const transfer = new DataTransfer();
      transfer.items.add(new File([wav(mono(heard), heard.sampleRate)], `recording-${this.count}.wav`, { type: "audio/wav" }));
      const field = this.parentElement.querySelector("input[data-upload]");
      field.files = transfer.files;
      field.dispatchEvent(new Event("change", { bubbles: true }));
      say(this.status, `Recorded ${heard.duration.toFixed(1)} seconds.`);
    } catch (error) {
      say(this.status, `The recording cannot be read (${error.name}): record again, a little longer.`);
    }
  }
}

function mono(heard) {
  const mixed = new Float32Array(heard.length);
  for (let i = 0; i < heard.numberOfChannels; i++) {
    heard.getChannelData(i).forEach((sample, k) => { mixed[k] += sample / heard.numberOfChannels; });
  }
  return mixed;
}

/** A WAV file of one channel, 16 bits: 44 bytes of header, then the samples. */
function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); word(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true); // plain samples, one channel
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  word(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, i) => view.setInt16(44 + 2 * i, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true));
  return view.buffer;
}

if (!customElements.get("ft-recorder")) customElements.define("ft-recorder", Recorder);
