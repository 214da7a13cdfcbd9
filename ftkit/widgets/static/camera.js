// A picture from the camera: opened only when asked for, and closed again. What the browser refuses is said in words.

/** Puts a camera into `place`; `take` gets each picture as a File. Returns { close }. */
function openCamera(place, take, tell) {
  const video = element("video", { playsinline: true, muted: true, hidden: true, "aria-label": "What the camera sees" });
  const open = element("button", { type: "button", "data-key": "camera", onclick: () => (stream ? close() : start()) },
    "Open the camera");
  const shoot = element("button", { type: "button", class: "ft-main", hidden: true, onclick: snap }, "Take a picture");
  let stream = null;
  let number = 0;
  place.replaceChildren(open, " ", shoot, video);

  async function start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      tell("The browser gives the camera only to pages under https:// or localhost. Upload files instead.", true);
      return;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } }, audio: false });
    } catch (error) {
      tell(reasons[error.name] ?? `The camera cannot be used (${error.name}). Upload files instead.`, true);
      return;
    }
    video.srcObject = stream;
    await video.play();
    showAs(true);
    tell("The camera is on. Pictures stay on this machine and the one the kernel runs on.");
  }

  function close() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    showAs(false);
  }

  function showAs(on) {
    video.hidden = shoot.hidden = !on;
    say(open, on ? "Close the camera" : "Open the camera");
  }

  async function snap() {
    number += 1;
    take(await jpeg(video, video.videoWidth, video.videoHeight, `camera-${number}.jpg`));
  }

  return { close };
}

const reasons = {
  NotAllowedError: "The camera is not allowed for this page. Allow it in the browser's address bar, or upload files.",
  NotFoundError: "There is no camera on this machine. Upload files instead.",
  NotReadableError: "The camera is in use by another program. Close that, or upload files.",
};
