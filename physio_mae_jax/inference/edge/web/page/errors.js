// Errors that the user can fix; the page shows their name and message.

export class DemoError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}
