/** The LZMA decoder within a chunk of LZMA2, after the LZMA specification of I. Pavlov. */

const STATES = 12;
const POSITIONS = 16; // of `pb` bits at most
const HALF = 1024; // a probability of one half, of 2048
const SPECIAL_SLOTS = 4; // from this slot on a distance has bits of its own

const probabilities = (count: number): Uint16Array => new Uint16Array(count).fill(HALF);

export class DamagedData extends Error {}

/** What decodes lengths: of 2 to 9, 10 to 17, or 18 to 273 bytes. */
class LengthCoder {
  readonly choice = probabilities(2);
  readonly low = probabilities(POSITIONS << 3);
  readonly mid = probabilities(POSITIONS << 3);
  readonly high = probabilities(256);
}

/** The bytes that matches look back on, and those that are new. */
export class Window {
  readonly bytes: Uint8Array;
  position = 0;
  /** How far back a match may look. */
  private reach = 0;

  constructor(
    private readonly size: number,
    private readonly chunk: number,
  ) {
    this.bytes = new Uint8Array(size + 2 * chunk);
  }

  forget(): void {
    this.reach = 0;
  }

  /** Makes room for a chunk; what no match may look back on goes. */
  makeRoom(): void {
    if (this.position + this.chunk <= this.bytes.length) return;
    this.bytes.copyWithin(0, this.position - this.size, this.position);
    this.position = this.size;
  }

  put(byte: number): void {
    this.bytes[this.position++] = byte;
    if (this.reach < this.size) this.reach++;
  }

  /** The byte so far back; 0 is the last one. */
  back(distance: number): number {
    if (distance >= this.reach) throw new DamagedData("a match looks back too far");
    return this.bytes[this.position - distance - 1]!;
  }

  /** The byte before, or 0 where there is none. */
  last(): number {
    return this.reach === 0 ? 0 : this.bytes[this.position - 1]!;
  }

  isEmpty(): boolean {
    return this.reach === 0;
  }
}

/** The state that LZMA keeps between chunks. */
export class Lzma {
  private literalBits = 0;
  private literalMask = 0;
  private positionMask = 0;
  private state = 0;
  private distances: [number, number, number, number] = [0, 0, 0, 0];
  private literals = probabilities(0);
  private isMatch = probabilities(0);
  private isRepeat = probabilities(0);
  private isRepeatBits: [Uint16Array, Uint16Array, Uint16Array] = [
    probabilities(0),
    probabilities(0),
    probabilities(0),
  ];
  private isShortRepeat = probabilities(0);
  private slots = probabilities(0);
  private special = probabilities(0);
  private align = probabilities(0);
  private lengths = new LengthCoder();
  private repeatLengths = new LengthCoder();
  private range = 0;
  private code = 0;
  private input: Uint8Array = new Uint8Array();
  private at = 0;

  constructor(private readonly window: Window) {}

  /** Takes the properties of a chunk: how many bits of context literals and positions have. */
  configure(properties: number): void {
    const [lc, lp, pb] = [properties % 9, Math.floor(properties / 9) % 5, Math.floor(properties / 45)];
    if (pb > 4 || lc + lp > 4) throw new DamagedData("unknown properties");
    this.literalBits = lc;
    this.literalMask = (1 << lp) - 1;
    this.positionMask = (1 << pb) - 1;
    this.literals = probabilities(0x300 << (lc + lp));
  }

  reset(): void {
    this.state = 0;
    this.distances = [0, 0, 0, 0];
    this.literals.fill(HALF);
    this.isMatch = probabilities(STATES << 4);
    this.isRepeat = probabilities(STATES);
    this.isRepeatBits = [probabilities(STATES), probabilities(STATES), probabilities(STATES)];
    this.isShortRepeat = probabilities(STATES << 4);
    this.slots = probabilities(4 << 6);
    this.special = probabilities(128);
    this.align = probabilities(16);
    this.lengths = new LengthCoder();
    this.repeatLengths = new LengthCoder();
  }

  /** Decodes a chunk of `size` bytes into the window. `start`: how many bytes the block has so far. */
  decode(input: Uint8Array, size: number, start: number): void {
    [this.input, this.at, this.range, this.code] = [input, 5, 0xffffffff, 0];
    for (let place = 1; place < 5; place++) this.code = ((this.code << 8) | input[place]!) >>> 0;
    for (let done = 0; done < size;) {
      const position = (start + done) & this.positionMask;
      if (this.bit(this.isMatch, (this.state << 4) + position) === 0) {
        this.literal(start + done);
        done++;
        continue;
      }
      const length = this.match(position);
      if (length > size - done) throw new DamagedData("a match is longer than its chunk");
      for (let count = 0; count < length; count++) this.window.put(this.window.back(this.distances[0]));
      done += length;
    }
    if (this.at !== input.length || this.code !== 0) throw new DamagedData("a chunk does not end as it should");
  }

  private bit(probs: Uint16Array, place: number): number {
    const probability = probs[place]!;
    const bound = (this.range >>> 11) * probability;
    let found = 0;
    if (this.code < bound) {
      this.range = bound;
      probs[place] = probability + ((2048 - probability) >> 5);
    } else {
      this.range -= bound;
      this.code -= bound;
      probs[place] = probability - (probability >> 5);
      found = 1;
    }
    if (this.range < 0x1000000) this.next();
    return found;
  }

  private next(): void {
    this.range = (this.range << 8) >>> 0;
    this.code = ((this.code << 8) | (this.input[this.at++] ?? 0)) >>> 0;
  }

  /** Bits that are all as likely, the highest first. */
  private directBits(count: number): number {
    let found = 0;
    for (let left = count; left > 0; left--) {
      this.range >>>= 1;
      const one = this.code >= this.range;
      if (one) this.code -= this.range;
      found = found * 2 + (one ? 1 : 0);
      if (this.range < 0x1000000) this.next();
    }
    return found;
  }

  private tree(probs: Uint16Array, first: number, bits: number): number {
    let node = 1;
    for (let left = bits; left > 0; left--) node = (node << 1) | this.bit(probs, first + node);
    return node - (1 << bits);
  }

  private reverseTree(probs: Uint16Array, first: number, bits: number): number {
    let [node, found] = [1, 0];
    for (let place = 0; place < bits; place++) {
      const bit = this.bit(probs, first + node);
      node = (node << 1) | bit;
      found |= bit << place;
    }
    return found;
  }

  private literal(position: number): void {
    const before = this.window.last() >> (8 - this.literalBits);
    const first = 0x300 * (((position & this.literalMask) << this.literalBits) + before);
    let symbol = 1;
    if (this.state >= 7) {
      // Behind a match the byte that would continue it is a context, as long as the bits agree with it.
      let matched = this.window.back(this.distances[0]);
      while (symbol < 0x100) {
        const expected = (matched >> 7) & 1;
        matched <<= 1;
        const bit = this.bit(this.literals, first + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== expected) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.bit(this.literals, first + symbol);
    this.window.put(symbol & 0xff);
    this.state = this.state < 4 ? 0 : this.state < 10 ? this.state - 3 : this.state - 6;
  }

  /** The length of the match that comes; its distance is then the first of `distances`. */
  private match(position: number): number {
    if (this.bit(this.isRepeat, this.state) === 0) {
      const length = this.length(this.lengths, position);
      this.state = this.state < 7 ? 7 : 10;
      const [first, second, third] = this.distances;
      this.distances = [this.distance(length), first, second, third];
      return length;
    }
    if (this.window.isEmpty()) throw new DamagedData("a match before the first byte");
    if (this.bit(this.isRepeatBits[0], this.state) === 0) {
      if (this.bit(this.isShortRepeat, (this.state << 4) + position) === 0) {
        this.state = this.state < 7 ? 9 : 11;
        return 1;
      }
    } else {
      this.promote();
    }
    const length = this.length(this.repeatLengths, position);
    this.state = this.state < 7 ? 8 : 11;
    return length;
  }

  /** Puts an older distance first. */
  private promote(): void {
    const [first, second, third, fourth] = this.distances;
    if (this.bit(this.isRepeatBits[1], this.state) === 0) this.distances = [second, first, third, fourth];
    else if (this.bit(this.isRepeatBits[2], this.state) === 0) this.distances = [third, first, second, fourth];
    else this.distances = [fourth, first, second, third];
  }

  private length(coder: LengthCoder, position: number): number {
    if (this.bit(coder.choice, 0) === 0) return 2 + this.tree(coder.low, position << 3, 3);
    if (this.bit(coder.choice, 1) === 0) return 10 + this.tree(coder.mid, position << 3, 3);
    return 18 + this.tree(coder.high, 0, 8);
  }

  private distance(length: number): number {
    const slot = this.tree(this.slots, Math.min(length - 2, 3) << 6, 6);
    if (slot < SPECIAL_SLOTS) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 | (slot & 1)) * 2 ** bits;
    if (slot < 14) return base + this.reverseTree(this.special, base - slot, bits);
    return base + this.directBits(bits - 4) * 16 + this.reverseTree(this.align, 0, 4);
  }
}
