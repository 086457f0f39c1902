"""A web page that encodes signals in a browser, such as that of a phone, and its server.

The page is static: ``page/index.html`` and its scripts compute a graph of ``Encoder.export_edge``
by onnxruntime-web and preprocess as ``inference.streaming`` does. No file of it loads anything from
another address. onnxruntime-web is not part of this package.

Modules::

    onnxruntime_web  onnxruntime-web in a folder of this machine, and its download
    page_files       what the server answers: the page, a model, a recording, onnxruntime-web
    server           a server that only this machine reaches
"""
