// Time that hops take: median and 99th percentile of the newest ones.

const MAX_HOPS = 2000;

export class HopTimes {
  constructor() {
    this._milliseconds = [];
    this.count = 0;
  }

  add(milliseconds) {
    this.count += 1;
    this._milliseconds.push(milliseconds);
    if (this._milliseconds.length > MAX_HOPS) this._milliseconds.shift();
  }

  /** Nearest-rank quantile in milliseconds; null before the first hop. */
  quantile(share) {
    const sorted = [...this._milliseconds].sort((a, b) => a - b);
    return sorted.length ? sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] : null;
  }
}
