// What is wrong with how the page lies: wider than the window, cut at its edge, words over words in a picture.
(() => {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    faults.push(`the page is ${root.scrollWidth} pixels wide in a window of ${root.clientWidth}`);
  }
  const isPrint = matchMedia("print").matches;
  const words = text => text.textContent.slice(0, 60);
  const wide = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const scrolls = !isPrint && element.closest(".scroll");
    const box = element.getBoundingClientRect();
    if (!scrolls && box.width > 0 && (box.right > root.clientWidth + 1 || box.left < -1)) {
      wide.add(element);
      // The outermost tells enough.
      if (!wide.has(element.parentElement)) faults.push(`<${element.tagName.toLowerCase()}> reaches from ${box.left} to ${box.right}: ${words(element)}`);
    }
  }
  for (const picture of document.querySelectorAll("svg[role=img]")) {
    const frame = picture.getBoundingClientRect();
    const texts = [...picture.querySelectorAll("text")].map(text => [text, text.getBoundingClientRect()]);
    for (const [n, [text, box]] of texts.entries()) {
      if (box.width === 0) continue;
      if (box.right > frame.right + 1 || box.left < frame.left - 1 || box.bottom > frame.bottom + 1) {
        faults.push(`words are cut at the edge of a picture: ${words(text)}`);
      }
      if (box.height < 7) faults.push(`words of ${box.height} pixels in a picture: ${words(text)}`);
      for (const [other, its] of texts.slice(n + 1)) {
        const across = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const down = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        if (across > 1 && down > 3) faults.push(`words over words in a picture: ${words(text)} / ${words(other)}`);
      }
    }
  }
  return faults;
})()
